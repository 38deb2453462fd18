"""Two hundred generations in a Jaeger, a spool and the Collector's file: the same answers to all.

And the times of each of them add up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from gentrace.analysis.compare.pairs import compare
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.cli import app
from gentrace.core import names
from gentrace.report.pair_json import as_object
from gentrace.sources.jaeger import Jaeger
from gentrace.sources.jaeger.access import Access
from gentrace.sources.jaeger.client import Client
from tests.e2e import many
from tools.servers import JaegerServer

pytestmark = [pytest.mark.service("collector"), pytest.mark.service("jaeger")]

Ask = Callable[..., tuple[Any, str]]
_OF_ONE_SOURCE = {"link", "links", "notes"}
_TO_THE_MICROSECOND_NS = 1_000


@pytest.fixture
def ask(
    jaeger_server: JaegerServer,
    sent: many.Sent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Ask:
    """Runs a command on one of the sources; what it answers, and what it says beside that."""
    ours = [many.SERVICES + role for role in ("api", "runs", "worker")]
    monkeypatch.setattr(Jaeger, "services", ours)  # other tests use that Jaeger, too
    cache = tmp_path_factory.getbasetemp() / "index-of-many"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    places = {"jaeger": jaeger_server.url, "spool": sent.spool, "collector": sent.collected}

    clients: list[Client] = []
    begin = Client.__init__

    def began(self: Client, url: str, how: Access) -> None:
        begin(self, url, how)
        clients.append(self)

    monkeypatch.setattr(Client, "__init__", began)

    def asked(kind: str, *arguments: str) -> tuple[Any, str]:
        code = app.run([*arguments, "--json", "--source", str(places[kind])])
        while clients:  # a command leaves that to the end of its process
            clients.pop().close()
        written = capsys.readouterr()
        assert code == 0, written.err
        return json.loads(written.out), written.err

    return asked


def told(answer: Any) -> Any:
    """The answer without what names its source."""
    if isinstance(answer, list):
        return [told(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    return {key: told(value) for key, value in answer.items() if key not in _OF_ONE_SOURCE}


@pytest.fixture
def questions(sent: many.Sent) -> list[list[str]]:
    """One of each, with conditions and with windows that cut the load in parts."""
    found = runs(sent.traces.values())
    starts = [run.start_ns for run in found]
    early, middle, late = (_moment(starts[len(starts) * part // 10]) for part in (2, 5, 8))
    ids = sent.ids
    return [
        ["list", "--limit", "0"],
        ["list", "--since", middle, "--where", "generation.tries=1"],
        *(["show", id_] for id_ in ids[:4]),
        ["show", f"job:{_job(found)}"],
        *(["compare", a, b] for a, b in zip(ids[:3], ids[3:6], strict=True)),
        ["compare", ids[2]],
        ["slow"],
        ["slow", "--where", "outcome=completed", "--until", middle],
        ["failing", "--since", early, "--until", late],
        ["compare", "--where", "account=1", "--vs", "account=2"],
        ["compare", "--where", f"since={middle}", "--vs", f"until={middle}"],
    ]


def test_each_question_has_the_same_answer_in_all_three(
    ask: Ask, questions: list[list[str]]
) -> None:
    for question in questions:
        jaeger, spool, collector = (
            told(ask(kind, *question)[0]) for kind in ("jaeger", "spool", "collector")
        )
        assert jaeger == spool, question
        assert collector == spool, question


def test_what_jaeger_held_back_is_said(
    ask: Ask, sent: many.Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = {"profile": "", "service": "", "a_search": 50, "most": 100}
    monkeypatch.setattr(Jaeger.__init__, "__kwdefaults__", defaults)
    answer, _ = ask("jaeger", "slow")
    assert answer["truncated"]
    assert any("more than was read" in note for note in answer["notes"])
    whole, _ = ask("spool", "slow")
    assert not whole["truncated"]
    assert answer["groups"]["rest"]["n"] < whole["groups"]["rest"]["n"]
    listed, beside = ask("jaeger", "list", "--limit", "0")
    assert listed["truncated"]
    assert "more than was read" in beside
    assert len(listed["generations"]) < len(sent.ids)


def test_the_times_of_each_run_add_up_and_so_do_the_differences(sent: many.Sent) -> None:
    found = [run for run in runs(sent.traces.values()) if run.id is not None]
    assert len(found) > many.MANY
    for run in found:
        assert run.outcome is not None
        assert sum(run.times.spent_ns.values()) == run.times.total_ns
        span = run.parts.run
        assert span is not None
        apart_ns = run.times.total_ns - (span.end_ns - span.start_ns)
        assert abs(apart_ns) <= _TO_THE_MICROSECOND_NS, run.id
        assert set(names.TIMES.values()) <= span.attributes.keys()
    for a, b in pairwise(found):
        _adds_up(a, b)


def _adds_up(a: Run, b: Run) -> None:
    found = compare(a, b)
    assert found.difference_ns == b.times.total_ns - a.times.total_ns
    assert sum(b_ns - a_ns for a_ns, b_ns in found.by_time.values()) == found.difference_ns
    assert sum(row.difference_ns for row in found.by_path) == found.difference_ns
    answer = as_object(found)
    for rows in (answer["by_time"].values(), [row["difference_s"] for row in answer["by_path"]]):
        assert sum(rows) == pytest.approx(answer["difference_s"], abs=1e-6)


def _job(found: list[Run]) -> str:
    """The ARQ id of some run's job."""
    told = (run.parts.last(names.MESSAGING_MESSAGE_ID) for run in found)
    return next(id_ for id_ in told if id_)


def _moment(at_ns: int) -> str:
    """As a user gives it."""
    return datetime.fromtimestamp(at_ns // 1_000 / 1e6, UTC).isoformat()
