"""GENTRACE_SQL on the running host: spans for all statements, for the failing ones, or for none."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from gentrace.core import names
from tests.e2e import reading
from tests.support.otlp_receiver import Span
from tests.support.programs import BIN, run
from tests.support.small_host import small_host


def is_statement(span: Span) -> bool:
    """Whether it is the SQL instrumentation's."""
    return "db.system" in span["attributes"]


@pytest.fixture(scope="module", params=["spans", "slow", "off"])
def mode(request: pytest.FixtureRequest) -> str:
    """What GENTRACE_SQL says."""
    return request.param


@pytest.fixture(scope="module")
def seen(mode: str, anything_failed: Callable[[], bool]) -> Generator[tuple[list[Span], str]]:
    """The spans of a generation, and what `gentrace show` printed of it."""
    env = {"GENTRACE": "1", "GENTRACE_SQL": mode}
    with small_host(env, failed=anything_failed) as host:
        generation = host.run(prompt="a lighthouse")
        for program in (host.api, *host.workers):
            program.stop()
        shown = run(
            [str(BIN / "gentrace"), "show", str(generation["id"]), "--source", str(host.spool)],
            host.folder,
        )
        assert shown.returncode == 0, shown.stderr
        yield reading.spooled_of(host.spool, str(generation["id"])), shown.stdout


def test_statements_are_spans_or_counts_or_nothing(seen: tuple[list[Span], str], mode: str) -> None:
    spans, _ = seen
    statements = [span for span in spans if is_statement(span)]
    counts = [s for s in spans if s["attributes"].get(names.SQL_COUNT)]
    if mode == "spans":
        assert len(statements) > 10
        called = {span["name"] for span in statements}
        assert {"INSERT generations", "SELECT generations", "UPDATE generations"} <= called
        assert not [name for name in called if "host" in name]
        assert counts == []
    elif mode == "slow":
        assert all(s["end_ns"] - s["start_ns"] >= 10**8 for s in statements)
        assert sum(s["attributes"][names.SQL_COUNT] for s in counts) > 10
        assert all(s["attributes"][names.SQL_TIME] > 0 for s in counts)
    else:
        assert statements == counts == []


def test_the_trace_is_whole_either_way(seen: tuple[list[Span], str]) -> None:
    spans, _ = seen
    assert reading.orphans(spans) == []
    assert reading.names(spans) >= {names.CREATE_GENERATION, names.PROVIDER_EXECUTE}


def test_readers_do_not_stumble(seen: tuple[list[Span], str]) -> None:
    _, shown = seen
    assert names.PROVIDER_EXECUTE in shown
    assert "completed" in shown
