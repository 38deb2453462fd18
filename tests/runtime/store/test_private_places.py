"""Each secret in each form in each place: nothing of it is in anything that we write.

The table is made of tests/support/planted_secrets.py and the places below: the spool, OTLP, what
the run's record in Redis and its keys hold, the process's records and the lines on stderr.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import pytest
import redis
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from gentrace.core import names
from gentrace.core.run.events import OpenSpan
from gentrace.core.run.times import Event, Kind
from gentrace.core.scrub import Scrubber
from gentrace.core.scrub.allowed import CONVENTIONS, SQL, URLS
from gentrace.runtime import context, notices
from gentrace.runtime.context import Run
from gentrace.runtime.export.scrubbing import clean, clean_record
from gentrace.runtime.export.spool import Spool
from gentrace.runtime.liveness import Liveness
from gentrace.runtime.store import jobs
from tests.runtime.store.conftest import Make, run
from tests.support.planted_secrets import FORMS, IN_WORDS, KEYS, NAMED, SPELLINGS
from tools.servers import RedisServer

FIELDS = frozenset({"error", "reason"})
SCRUBBER = Scrubber(b"the installation's key", {"provider:error": FIELDS})
PROMPT = "a marmalade factory below the velvet astronomer"
# Of the named ones each name in one spelling, and each spelling with some name.
SOME = [*sorted(set(IN_WORDS) - set(NAMED)), *list(NAMED)[::11]]
OF_A_SPAN = sorted({*names.ATTRIBUTES, *CONVENTIONS, *URLS, *SQL, "exception.message", "other"})
FEW = (names.MODEL, names.CALLER, names.LINK, "exception.type", "url.path", "db.statement", "other")
TEXTS = [name for name in OF_A_SPAN if name not in (names.GENERATION_ID, names.SCRUBBED)]


def a_span(text: str, generation_id: str) -> Iterator[Any]:
    """Spans that hold the text wherever one can: ours, and a library's."""
    given: dict[str, Any] = dict.fromkeys(TEXTS, text)
    for name, declared in names.ATTRIBUTES.items():
        if declared.type == "string[]":
            given[name] = [text, "another"]
    given[names.GENERATION_ID] = generation_id
    few = {name: given[name] for name in FEW}
    for scope in ("gentrace", "a.library"):
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer(scope)
        links = [Link(SpanContext(1, 2, is_remote=True), few)]
        attributes = given if scope == "gentrace" else {**few, names.GENERATION_ID: generation_id}
        span: Any = tracer.start_span(f"GET {text}", attributes=attributes, links=links)
        span.add_event(text, few)
        span.add_event("provider:error", {"error": text, "reason": text})
        span.record_exception(type(text, (ValueError,), {})(text))
        span.set_status(Status(StatusCode.ERROR, f"{text}: {text}"))
        span.end()
        yield span


def written(spans: list[Any], folder: Path) -> Iterator[str]:
    """What the spool and OTLP hold of them."""
    cleaned = clean(spans, Resource({"service.name": "pixsim7-api"}), SCRUBBER)
    spool = Spool(folder, 2**30, 3600, "first")
    spool.write_spans(cleaned)
    spool.close()
    yield "".join(path.read_text() for path in folder.rglob("spans*"))
    yield encode_spans(cleaned).SerializeToString().decode("utf-8", "replace")


def in_records(text: str, run_id: str, of_process: str) -> str:
    """What a process tells of its runs and of itself, with a text wherever one can be."""
    liveness = Liveness()
    liveness.shown = lambda record: clean_record(record, SCRUBBER)
    told = {"queue": of_process, "import_errors": [of_process], "sdks": [{"error": of_process}]}
    liveness.describe = lambda: told
    liveness.job_started(f"job:{text}", text, run_id, 1)
    liveness.ticked(of_process, of_process)
    liveness.polled(run_id, text)
    liveness.poll_failed(run_id, text)
    return json.dumps(liveness.record()) + str(SCRUBBER.of_resource("note", of_process))


def readings(text: str) -> list[str]:
    """The text in every form that a reader may try."""
    found = [text.lower()]
    for read in (unquote_plus, unquote, lambda s: s.replace("\\\\", "\\")):
        found.append(read(found[-1]).lower())
    found.append(found[-1].encode("latin-1", "replace").decode("unicode_escape", "replace").lower())
    return found


@pytest.fixture
def nobody_else() -> Iterator[None]:
    context.forget_all()
    yield
    context.forget_all()


@pytest.mark.usefixtures("nobody_else")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("form", FORMS)
def test_no_secret_in_any_form_in_any_place(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "shown", SCRUBBER.line)
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    spans: list[Any] = []
    told: list[str] = []
    for secret in SOME:
        text = FORMS[form](IN_WORDS[secret][0]).replace("\x00", "")
        spans += a_span(text, "7")
        told.append(in_records(text, "7", text))
        notices.say_once(secret, f"{text} is no whole number above 0; 3 is used")
    notices.forget()
    read = [each for raw in written(spans, tmp_path) for each in readings(raw)]
    read += [each for record in told for each in readings(record)]
    read += readings(capsys.readouterr().err)
    whole = "\n".join(read)
    assert len(spans) == 2 * len(SOME) > 100
    left = {s: p for s in SOME for p in IN_WORDS[s][1] if p.lower() in whole}
    assert left == {}


@pytest.mark.usefixtures("nobody_else")
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_part_of_the_prompt_in_any_spelling_in_any_place(spelling: str, tmp_path: Path) -> None:
    """Seen before: it passed in ids, models and class names, and in all spellings but the first."""
    context.remember(Run("7", prompts=(PROMPT,)))
    text = SPELLINGS[spelling](PROMPT)
    spans = [*a_span(text, "7"), *a_span(f"x:{text[9:30]}", "7")]
    raw = "\n".join([*written(spans, tmp_path), in_records(text, "7", "")]).lower()
    for word in ("marmalade", "factory", "velvet", "astronom"):
        assert word not in raw.replace("%25", "%").replace("%20", " ")


@pytest.mark.usefixtures("nobody_else")
def test_a_run_that_got_no_id_keeps_its_prompt_too(tmp_path: Path) -> None:
    span = next(a_span(PROMPT, "7"))
    span._attributes = {names.MODEL: PROMPT}
    asked = Run(prompts=(PROMPT,), parent=span.context)
    asked.abandon()
    assert "marmalade" not in "".join(written([span], tmp_path))


@pytest.mark.parametrize("form", FORMS)
def test_nothing_of_it_is_in_redis(form: str, make: Make, redis_server: RedisServer) -> None:
    store = make()
    store.shown = SCRUBBER.attribute
    known = run()
    known.prompts = (PROMPT,)
    context.remember(known)
    store.note(known, events=(Event(Kind.RECEIVED, time.time_ns()),), root="00000000000000aa")
    planted = {**{key: (text, (text[-12:],)) for key, text in KEYS.items()}}
    planted |= {name: IN_WORDS[name] for name in SOME}
    planted["prompt"] = (PROMPT, ("marmalade", "astronomer"))
    facts = [names.MODEL, names.ACCOUNT_ID, names.ERROR_TYPE, names.WAIT_REASON, names.USER_ID]
    for number, (text, _) in enumerate(planted.values()):
        spelt = FORMS[form](text)
        opened = OpenSpan(
            f"{number:016x}", spelt, "", 1, 4, "i", {names.MESSAGING_MESSAGE_ID: spelt}
        )
        store.note(known, facts=dict.fromkeys(facts, spelt), opened=(opened,), polled=spelt)
        store.learn("provider", spelt, "7")
        jobs.keep(store, spelt, jobs.Kept("process_generation", "7", {}), 60)
        if number % 50 == 0:
            assert store.flush(10)  # each note is written while it is the newest
    assert store.flush(10)
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        held = [f"{key} {_value(client, key)}" for key in client.scan_iter("*")]
    whole = "\n".join(each for raw in held for each in readings(raw))
    assert "<prompt:" in whole
    assert {s: p for s, (_, parts) in planted.items() for p in parts if p.lower() in whole} == {}


def _value(client: redis.Redis, key: str) -> Any:
    match client.type(key):
        case "hash":
            return client.hgetall(key)
        case "zset":
            return client.zrange(key, 0, -1)
        case "list":
            return client.lrange(key, 0, -1)
        case "set":
            return client.smembers(key)
        case _:
            return client.get(key)
