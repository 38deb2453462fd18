"""GENTRACE_SQL=slow: slow and failing statements are spans, the others a count on their parent."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import IntegrityError

from gentrace.core import names
from gentrace.runtime.hooks import slow_sql
from gentrace.runtime.tracing import GatedTracer, below
from tests.support.sql_work import Ended, SqlWork, sql_work

SECRET = "parameter-of-nobodys-concern"


@dataclass
class Work:
    """A connection, and the work that it is used in."""

    sql: SqlWork
    connection: Connection

    @property
    def ended(self) -> Ended:
        return self.sql.ended

    def does(self, *statements: str, **values: Any) -> dict[str, Any]:
        """Executes them below a span of the run; gives the attributes of that span."""
        with self.sql.run():
            for statement in statements:
                self.connection.execute(text(statement), values)
        return self.sql.outer()


@pytest.fixture
def work() -> Generator[Work]:
    engine = create_engine("sqlite://")

    def functions(connection: Any, _record: Any) -> None:
        connection.create_function("nap", 1, lambda s: time.sleep(s) or s)

    event.listen(engine, "connect", functions)
    with sql_work(slow=True) as sql, engine.connect() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)"))
        yield Work(sql, connection)
    engine.dispose()


def test_quick_statements_are_counted_on_the_span_at_work(work: Work) -> None:
    attributes = work.does("SELECT 1", "SELECT 2", "INSERT INTO things VALUES (1, 'x')")
    assert [span.name for span in work.ended.spans] == ["outer"]
    assert attributes[names.SQL_COUNT] == 3
    assert 0 < attributes[names.SQL_TIME] < slow_sql.SLOW_S * 3


def test_the_counts_are_exported(work: Work) -> None:
    work.does("SELECT 1")
    (shown,) = work.ended.shown()
    assert {names.SQL_COUNT, names.SQL_TIME} <= set(shown.attributes or {})


def test_a_slow_statement_is_a_span_as_of_its_start(work: Work) -> None:
    begun_ns = time.time_ns()
    attributes = work.does(f"SELECT nap({slow_sql.SLOW_S + 0.02})", "SELECT 1")
    span: ReadableSpan = work.sql.only("SELECT")
    assert span.start_time is not None
    assert span.end_time is not None
    assert begun_ns <= span.start_time
    assert (span.end_time - span.start_time) / 1e9 >= slow_sql.SLOW_S
    assert span.parent is not None
    assert attributes[names.SQL_COUNT] == 1


def test_a_failing_statement_is_a_span_without_a_word_of_its_error(work: Work) -> None:
    insert = "INSERT INTO things VALUES (1, :name)"
    with pytest.raises(IntegrityError):
        work.does(insert, insert, name=SECRET)
    shown = work.ended.shown()
    (failed,) = [span for span in shown if span.name.startswith("INSERT")]
    assert not failed.status.is_ok
    assert not failed.status.description
    assert SECRET not in "".join(span.to_json() for span in shown)
    assert "UNIQUE" not in "".join(span.to_json() for span in shown)
    assert dict(work.ended.named("outer")[0].attributes or {})[names.SQL_COUNT] == 1


def test_a_connection_is_no_statement(work: Work) -> None:
    statement = slow_sql.Statement(
        GatedTracer(work.sql.tracing, ("sql",), {}, None), "connect", below(None), {}
    )
    statement.end()
    assert work.ended.spans == []


def test_outside_a_runs_work_there_is_nothing(work: Work) -> None:
    work.connection.execute(text(f"SELECT nap({slow_sql.SLOW_S + 0.02})"))
    assert work.ended.spans == []
