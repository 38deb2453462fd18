"""A span for each statement of every engine: its name, its attributes, what it says of an end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy.ext.asyncio
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    engine_from_config,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, async_engine_from_config, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from gentrace.core import names, sql_text
from gentrace.runtime.guard import MAX_FAILURES
from gentrace.runtime.hooks import databases
from gentrace.runtime.hooks.instrumentors import BY_HOST
from gentrace.runtime.hooks.sql_spans import SqlSpans
from gentrace.runtime.tracing import GatedTracerProvider
from tests.support.host import SmallHost
from tests.support.sql_work import SqlWork, no_others, sql_work
from tools.servers import PostgresServer

THINGS = Table("things", MetaData(), Column("id", Integer), Column("name", String))
CANCELLED = "asyncio.exceptions.CancelledError"


class Base(DeclarativeBase):
    pass


class Thing(Base):
    """A row of another table."""

    __tablename__ = "mapped"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def sql() -> Generator[SqlWork]:
    with sql_work() as work:
        yield work


@pytest.fixture
def engine() -> Generator[Engine]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        THINGS.create(connection)
        Base.metadata.create_all(connection)
    yield engine
    engine.dispose()


def of_the_host(*args: Any, **kwargs: Any) -> AsyncEngine:
    """A host's own function that makes engines, with a copy that it took at its import."""
    return create_async_engine(*args, **kwargs)


URL = "sqlite+aiosqlite://"
MAKERS: dict[str, Callable[[], Engine | AsyncEngine]] = {
    "create_engine": lambda: create_engine("sqlite://"),
    "sqlalchemy.create_engine": lambda: sqlalchemy.create_engine("sqlite://"),
    "engine_from_config": lambda: engine_from_config({"sqlalchemy.url": "sqlite://"}),
    "execution_options": lambda: create_engine("sqlite://").execution_options(of="mine"),
    "create_async_engine": lambda: create_async_engine(URL),
    "by its module": lambda: sqlalchemy.ext.asyncio.create_async_engine(URL),
    "async_engine_from_config": lambda: async_engine_from_config({"sqlalchemy.url": URL}),
    "of the host": lambda: of_the_host(URL),
    "AsyncEngine": lambda: AsyncEngine(create_engine(URL)),
}


@pytest.mark.parametrize("late", [False, True], ids=["made after us", "made before us"])
@pytest.mark.parametrize("maker", MAKERS)
async def test_every_engine_gives_each_statement_once(maker: str, late: bool) -> None:
    made = MAKERS[maker]() if late else None
    with sql_work() as work:
        made = made or MAKERS[maker]()
        with work.run():
            if isinstance(made, Engine):
                with made.connect() as connection:
                    connection.execute(text("SELECT name FROM sqlite_master"))
                made.dispose()
            else:
                async with made.connect() as connection:
                    await connection.execute(text("SELECT name FROM sqlite_master"))
                await made.dispose()
    assert work.ended.names() == ["connect", "SELECT sqlite_master"]
    assert {span.kind for span in work.ended.spans[:-1]} == {SpanKind.CLIENT}


def test_names_of_the_orm_of_core_and_of_text(sql: SqlWork, engine: Engine) -> None:
    with sql.run(), Session(engine) as session:
        session.add(Thing(id=1, name="a"))
        session.flush()
        with session.begin_nested():
            session.execute(insert(THINGS), [{"id": 1}, {"id": 2}])
        cte = select(THINGS.c.id).where(THINGS.c.name == "FROM secrets").cte("chosen")
        session.execute(select(cte.c.id))
        session.execute(select(select(func.count(Thing.id)).scalar_subquery(), THINGS.c.id))
        session.execute(THINGS.insert().from_select(["id"], select(Thing.id)))
        session.get(Thing, 1, populate_existing=True)
        session.execute(text("PRAGMA user_version"))
        session.commit()
    assert sql.ended.names() == [
        *("connect", "INSERT mapped", "SAVEPOINT", "INSERT things", "RELEASE"),
        *("SELECT things", "SELECT things", "INSERT things", "SELECT mapped", "PRAGMA"),
    ]
    shown = [span for span in sql.ended.shown() if span.name.startswith("INSERT mapped")]
    assert dict(shown[0].attributes or {}) == {
        "db.system": "sqlite",
        "db.statement": "INSERT mapped",
        "db.operation": "INSERT",
        "db.sql.table": "mapped",
        names.GENERATION_ID: "7",
    }


OLD = {"db.system", "db.name", "db.statement", "db.operation", "db.sql.table"}
NEW = {"db.system.name", "db.namespace", "db.query.text", "db.operation.name", "db.collection.name"}


@pytest.mark.parametrize(
    ("conventions", "given"), [("", OLD), ("database", NEW), ("http, database/dup", OLD | NEW)]
)
def test_both_generations_of_the_conventions(
    conventions: str, given: set[str], tmp_path: Any
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    with sql_work(conventions=conventions) as sql, engine.connect() as connection, sql.run():
        connection.execute(text("SELECT name FROM sqlite_master"))
    engine.dispose()
    (shown,) = [span for span in sql.ended.shown() if span.name == "SELECT sqlite_master"]
    found = dict(shown.attributes or {})
    assert {name for name in found if name.startswith("db.")} == given
    for name in given & {"db.name", "db.namespace"}:
        assert found[name] == "host.db"


def test_a_failed_statement_stays_an_error(sql: SqlWork, engine: Engine) -> None:
    with sql.run(), engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELECT 1 FROM nowhere"))
    span = sql.only("SELECT nowhere")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert (span.attributes or {})[names.ERROR_TYPE] == "sqlalchemy.exc.OperationalError"


def test_a_failed_connect_is_an_error_and_the_hosts_own_exception(sql: SqlWork) -> None:
    engine = create_engine("sqlite:////nowhere/at/all.db")
    with sql.run(), pytest.raises(OperationalError):
        engine.connect()
    span = sql.only("connect")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})[names.ERROR_TYPE] == "sqlalchemy.exc.OperationalError"


# -- cancellation ------------------------------------------------------------------------------
@contextmanager
def waiting_sqlite() -> Generator[tuple[AsyncEngine, threading.Event, threading.Event]]:
    """SQLite with a function that waits until it may go on."""
    begun, go_on = threading.Event(), threading.Event()
    engine = create_async_engine(URL)

    @event.listens_for(engine.sync_engine, "connect")
    def functions(connection: Any, _record: Any) -> None:
        connection.create_function("wait", 0, lambda: begun.set() or go_on.wait(30))

    try:
        yield engine, begun, go_on
    finally:
        go_on.set()


@pytest.mark.parametrize("slow", [False, True], ids=["spans", "slow"])
@pytest.mark.parametrize("by", ["cancel", "asyncio.timeout", "wait_for"])
async def test_a_cancelled_statement_is_no_error(by: str, slow: bool) -> None:
    with sql_work(slow=slow) as work, waiting_sqlite() as (engine, begun, go_on), work.run():

        async def statement() -> None:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT wait() AS cancelled"))

        async def once_begun() -> None:
            await asyncio.to_thread(begun.wait, 30)
            if slow:
                await asyncio.sleep(0.12)  # it is a slow one

        if by == "cancel":
            task = asyncio.create_task(statement())
            await once_begun()
            task.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif by == "wait_for":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(statement(), 0.3)
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await statement()
        go_on.set()
        await engine.dispose()
    span = work.only("SELECT")
    assert span.status.status_code is StatusCode.UNSET
    assert (span.attributes or {})[names.ERROR_TYPE] == CANCELLED
    assert span.events == ()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_cancelled_and_failed_on_postgresql(
    driver: str, postgres_server: PostgresServer
) -> None:
    address = postgres_server.new_database().replace("postgresql:", f"postgresql+{driver}:", 1)
    watching = create_async_engine(address)
    engine = create_async_engine(address)

    async def statement(said: str) -> None:
        async with engine.connect() as connection:
            await connection.execute(text(said))

    async def until_it_sleeps() -> None:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
        async with watching.connect() as connection:
            while not (await connection.execute(text(asked))).scalar():
                await connection.rollback()  # or it would see the same again

    async def in_twenty_ms() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SET statement_timeout = 20"))
            await connection.execute(text("DELETE FROM pg_class WHERE pg_sleep(60) IS NULL"))

    with sql_work() as work, work.run():
        task = asyncio.create_task(statement("SELECT pg_sleep(60) AS cancelled"))
        await asyncio.wait_for(until_it_sleeps(), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(DBAPIError):
            await statement("UPDATE pg_class SET relname = (1 / (SELECT 0))::text")
        with pytest.raises(DBAPIError):
            await in_twenty_ms()
    await engine.dispose()
    await watching.dispose()
    statuses = {span.name: span.status.status_code for span in work.ended.spans}
    assert statuses["UPDATE pg_class"] is StatusCode.ERROR
    assert statuses["DELETE pg_class"] is StatusCode.ERROR
    (span,) = [s for s in work.ended.named("SELECT") if names.ERROR_TYPE in (s.attributes or {})]
    assert span.status.status_code is StatusCode.UNSET
    assert (span.attributes or {})[names.ERROR_TYPE] == CANCELLED
    assert (span.attributes or {})["net.peer.name"]


# -- the host is unharmed ----------------------------------------------------------------------
def test_outside_a_run_and_where_the_host_suppresses_spans_there_are_none(
    sql: SqlWork, engine: Engine
) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    with sql.run(), suppress_instrumentation(), engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert sql.ended.names() == []


def test_a_failure_of_ours_is_none_of_the_hosts(
    sql: SqlWork, engine: Engine, monkeypatch: pytest.MonkeyPatch, swallowed: list[Any]
) -> None:
    def failing(_statement: str) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(sql_text, "outline", failing)
    with sql.run(), engine.connect() as connection:
        for number in range(MAX_FAILURES + 5):
            assert connection.execute(text(f"SELECT {number}")).scalar() == number
    assert sql.guard.off
    assert len(swallowed) == MAX_FAILURES
    assert sql.ended.names() == ["connect"]


def test_nothing_stays_behind(engine: Engine) -> None:
    with no_others():
        before = {name: vars(Engine).get(name) for name in ("connect", "_has_events")}
        with sql_work() as sql:
            assert vars(Engine)["connect"] is not before["connect"]
        with sql.run(), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        assert sql.ended.names() == []
        assert {name: vars(Engine).get(name) for name in before} == before
        assert list(engine.dispatch.before_cursor_execute) == []
        assert list(engine.dialect.dispatch.handle_error) == []


def test_who_comes_second_hears_when_the_first_has_gone(engine: Engine) -> None:
    with no_others(), sql_work(install=False) as sql:
        gated = GatedTracerProvider(sql.tracing, None)
        first, second = (SqlSpans(sql.spans._engine, gated) for _ in range(2))
        first.install()
        second.install()
        first.remove()
        try:
            with sql.run(), engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        finally:
            second.remove()
    assert sql.ended.names() == ["SELECT"]  # the connect is hooked once, by who came first


def test_another_of_ours_does_not_take_the_hosts_place(host: SmallHost) -> None:
    """To give way is for the host's own instrumentation, not for one that we make."""
    installed = {each for each in gc.get_objects() if type(each) is SqlSpans and each.installed}
    with sql_work(install=False) as work:
        databases._instrument(work.spans)
        work.spans.remove()
    assert host.session.engine.libraries.get("sqlalchemy") != BY_HOST
    assert installed
    assert all(each.installed for each in installed)


def test_what_the_host_listens_to_meanwhile_it_hears_afterwards() -> None:
    heard: list[str] = []

    def listen(_conn: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        heard.append(statement)

    with sql_work():
        event.listen(Engine, "before_cursor_execute", listen)
    try:
        engine = create_engine("sqlite://")
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        engine.dispose()
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    assert heard == ["SELECT 1"]
