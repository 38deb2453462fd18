"""Submissions that fail in many ways: what tells them apart on the spans, on the run, in `list`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import pytest
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from rich.console import Console
from starlette.responses import Response

from gentrace.analysis.compare import fingerprints, read
from gentrace.analysis.compare.table import table
from gentrace.analysis.generations import Listing
from gentrace.analysis.grouping import runs as runs_of
from gentrace.analysis.runs import Run
from gentrace.core import names, otlp
from gentrace.core.spans import traces
from gentrace.report import words
from gentrace.report.listing import print_listing
from gentrace.report.show import print_show
from gentrace.runtime import submission
from tests.support.host import SmallHost, attributes, until
from tools.servers import HOST, free_ports

ADAPTER = "services.provider.adapters.pixverse_operations"
FILE = "pixsim7/backend/main/services/provider/adapters/pixverse_operations.py"
Break = Callable[[SmallHost, pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Failure:
    """A way to fail, and what is told of it beside the class, which is ProviderError for all."""

    name: str
    cause: str
    reason: str
    prompt: str = "a lighthouse in the rain"
    http_status: int | None = None
    words: str | None = None
    operation: str = "text_to_video"
    breaks: Break = lambda _host, _patch: None

    def __str__(self) -> str:
        return self.name


def garbage(host: SmallHost, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(host.standin, "pixverse", lambda *_args: Response("<html>Sorry</html>"))


def unreachable(host: SmallHost, patch: pytest.MonkeyPatch) -> None:
    (closed,) = free_ports(1)
    _set(host, patch, provider_base_url=f"http://{HOST}:{closed}")


def impatient(host: SmallHost, patch: pytest.MonkeyPatch) -> None:
    _set(host, patch, provider_timeout_s=0.05)


def _set(host: SmallHost, patch: pytest.MonkeyPatch, **settings: Any) -> None:
    client = host.module("services.provider.adapters.pixverse_client")
    patch.setattr(client, "settings", replace(client.settings, **settings))


def planted(host: SmallHost, patch: pytest.MonkeyPatch) -> None:
    patch.delattr(host.module(ADAPTER), "_options")


FAILURES = [
    Failure(
        "502",
        "PixverseAPIError",
        "ProviderError HTTP 502: Pixverse error None: HTTP 502 from "
        "/creative_platform/video/t2v (PixverseAPIError in "
        "pixsim7/…/pixverse_client.py:",
        prompt="BOOM",
        http_status=502,
        words="Pixverse error None: HTTP 502 from /creative_platform/video/t2v",
    ),
    Failure(
        "garbage",
        "JSONDecodeError",
        "ProviderError: Expecting value: line 1 column 1 (char 0) (JSONDecodeError in "
        "pixsim7/…/pixverse_client.py:",
        words="Expecting value: line 1 column 1 (char 0)",
        breaks=garbage,
    ),
    Failure(
        "unreachable",
        "OSError|ConnectError|ConnectionRefusedError",
        "ProviderError: All connection attempts failed (",
        words="All connection attempts failed",
        breaks=unreachable,
    ),
    Failure(
        "time-out",
        "TimeoutError|ReadTimeout",
        "ProviderError: pixverse did not answer in time (ReadTimeout) (",
        prompt="NEVERANSWER",
        words="pixverse did not answer in time (ReadTimeout)",
        breaks=impatient,
    ),
    Failure(
        "missing parameter",
        "ProviderError",
        "ProviderError: Missing parameter: image_url",
        operation="image_to_video",
        words="Missing parameter: image_url",
    ),
    Failure(
        "NameError",
        "NameError",
        "ProviderError: name '_options' is not defined (NameError in "
        "pixsim7/…/pixverse_operations.py:",
        words="name '_options' is not defined",
        breaks=planted,
    ),
]


@pytest.fixture(autouse=True)
def _no_codes(host: SmallHost, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """A host whose errors carry their class's name as code, and no other, as some revisions do."""
    errors = host.module("shared.errors")

    def made(self: Any, message: str, code: str | None = None, **told: Any) -> None:
        errors.PixSimError.__init__(self, message, code or type(self).__name__)
        self.error_code, self.retryable = None, False

    monkeypatch.setattr(errors.ProviderError, "__init__", made)


async def failed(host: SmallHost, failure: Failure) -> Run:
    """The run that failed so, as the commands read it."""
    made = await host.create(failure.prompt, config={"generationType": failure.operation})
    await host.work()
    generation_id = str(made.json()["id"])

    def its_own() -> list[ReadableSpan]:  # the run of an earlier test may settle meanwhile
        return [
            span
            for span in host.exporter.named(names.RUN)
            if (span.attributes or {})[names.GENERATION_ID] == generation_id
        ]

    await until(its_own)
    return as_read(host, its_own()[0])


def as_read(host: SmallHost, span: ReadableSpan | None = None, trace_id: int = 0) -> Run:
    """The run of that span's trace; of a trace without it as its other spans alone tell."""
    wanted = _trace(span) if span is not None else trace_id
    chosen = [each for each in host.spans() if _trace(each) == wanted]
    request = encode_spans([*chosen, *([span] if span else [])]).to_dict()
    found, damaged = otlp.decode(json.loads(json.dumps(request)))
    assert not damaged
    (run,) = runs_of(traces(found))
    return run


def _trace(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


def short(kind: str | None) -> str:
    return (kind or "").rpartition(".")[2]


def shown(work: Callable[[Console], None]) -> str:
    to = Console(file=StringIO(), width=200)
    work(to)
    assert isinstance(to.file, StringIO)
    return to.file.getvalue()


@pytest.mark.parametrize("failure", FAILURES, ids=str)
async def test_what_the_class_does_not_tell(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch, failure: Failure
) -> None:
    failure.breaks(host, monkeypatch)
    run = await failed(host, failure)
    span = run.parts.run
    assert span is not None
    for told in (run, as_read(host, trace_id=int(run.trace_id, 16))):  # with and without it
        assert short(told.error_type) == "ProviderError"
        assert re.fullmatch(failure.cause, short(told.error_cause))
        assert told.error_code is None
        assert told.error_message == failure.words
        assert told.error_http_status == failure.http_status
        assert told.stage == "submitted"
        assert words.reason(told).startswith(failure.reason)
        assert told.error_place is not None
        assert told.error_place.file.startswith("pixsim7/backend/main/")
    assert span.status_message == failure.words
    assert names.ERROR_CODE not in span.attributes
    (execute,) = run.parts.executes
    assert execute.status_message == failure.words
    assert execute.attributes.get(names.ERROR_HTTP_STATUS) == failure.http_status


async def test_the_http_status_where_the_clients_spans_are_the_hosts(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that the host instruments gives us no span: the failure carries the answer."""
    client = host.module("services.provider.adapters.pixverse_client")
    monkeypatch.setattr(submission, "calls", lambda *_: None)
    monkeypatch.setattr(client.PixverseAPIError, "status_code", 503, raising=False)
    run = await failed(host, FAILURES[0])
    assert run.error_http_status == 503
    (execute,) = run.parts.executes
    assert execute.attributes[names.ERROR_HTTP_STATUS] == 503


async def test_a_name_error_of_the_adapter(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(host, monkeypatch)
    run = await failed(host, FAILURES[-1])
    failing = [span for span in run.parts.spans if span.failed and span.name != names.RUN]
    assert [span.name for span in failing] == [
        "provider.execute",
        "pixverse.execute",
        "pixverse._generate_text_to_video",
    ]
    for span in failing:
        assert span.attributes[names.ERROR_CAUSE] == "NameError"
        assert span.attributes[names.CODE_FILE] == FILE
        assert span.attributes[names.CODE_FUNCTION].endswith(
            ":PixverseOperationsMixin._generate_text_to_video"
        )
    stacks = [span.events for span in failing if any(e.name == "exception" for e in span.events)]
    assert len(stacks) == 1, "the innermost one has the stack"
    line = failing[-1].attributes[names.CODE_LINE]
    header = shown(lambda to: print_show(to, [run], run))
    place = f"NameError in pixsim7/…/pixverse_operations.py:{line} _generate_text_to_video"
    assert header.count(place) == 2, "in the header, and where it began"
    whole = shown(lambda to: print_show(to, [run], run, everything=True))
    lines = [each.strip(" │└├") for each in whole.splitlines()]
    at = lines.index("NameError")
    assert lines[at - 1] == f"{FILE}:{line} PixverseOperationsMixin._generate_text_to_video"
    assert any("job_processor.py" in each and "process_generation" in each for each in lines[:at])
    listed = shown(lambda to: print_listing(to, Listing([run], False, 1)))
    assert "(NameError in pixsim7/…/pixverse_operations.py:" in listed
    assert str(host.folder) not in whole + listed
    assert "/home/" not in whole


async def test_a_type_that_may_show_nothing_is_told_by_its_cause(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(RuntimeError): ...

    def odd(*_args: Any) -> None:
        raise Odd("someone@example.org") from KeyError("secret")

    monkeypatch.setattr(host.module("services.provider.registry").registry, "get", odd)
    monkeypatch.setattr(host.module("services.generation.creation").registry, "get", odd)
    with suppress(Exception):
        await host.create()
    created = host.one(names.CREATE_GENERATION)
    assert (created.status.description or "").startswith("<message:19:")
    assert attributes(created)[names.ERROR_CAUSE] == "KeyError"


async def test_fingerprints_tell_them_apart(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Run] = []
    for failure in FAILURES:
        with monkeypatch.context() as patch:
            failure.breaks(host, patch)
            found += [await failed(host, failure)]
    alone = [as_read(host, trace_id=int(run.trace_id, 16)) for run in found]
    for given in (found, alone):
        runs = table(read.rows(given))
        told, codes = fingerprints.fingerprints(runs, runs.outcome.is_(names.FAILED))
        assert len(told) == len(FAILURES)
        assert len({int(code) for code in codes}) == len(FAILURES)
    (refused,) = (each for each in told if "HTTP 502" in each)
    assert refused == (
        "ProviderError HTTP 502 from PixverseAPIError 'Pixverse error None: HTTP # from #' "
        "at submitted"
    )


async def test_a_submission_names_its_row_whatever_becomes_of_it(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for prompt in ("a lighthouse", "BADPROMPT", "BOOM"):
        await host.create(prompt)
    await host.work()
    executes = host.named(names.PROVIDER_EXECUTE)
    assert len(executes) == 3
    rows = {attributes(span).get(names.SUBMISSION_ID) for span in executes}
    assert rows == {"1", "2", "3"}


class Unreadable(Exception):
    """Nothing of it can be read."""

    def __str__(self) -> str:
        raise ValueError("no text")

    @property
    def error_code(self) -> str:
        raise ValueError("no code")

    code = err_code = error_code


async def test_an_exception_that_cannot_be_read_is_the_hosts_all_the_same(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = Unreadable()

    def odd(*_args: Any) -> None:
        raise raised

    caught: list[BaseException] = []
    service = host.module("services.provider.provider_service").ProviderService
    submit = service.execute_generation

    async def execute(self: Any, *args: Any) -> Any:
        try:
            return await submit(self, *args)
        except Exception as exc:
            caught.append(exc)
            raise

    await host.create()
    pixverse = host.module("services.provider.adapters.pixverse").PixverseProvider
    monkeypatch.setattr(pixverse, "map_parameters", odd)
    monkeypatch.setattr(service, "execute_generation", execute)
    await host.work()
    assert caught == [raised]
    span = host.one(names.PROVIDER_EXECUTE)
    assert attributes(span)[names.ERROR_TYPE].endswith("Unreadable")
    assert (span.status.status_code.name, span.status.description or "") == ("ERROR", "")
