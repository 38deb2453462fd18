"""Status changes of a mapped class, by whatever way, as they are committed and not before."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import bindparam, case, create_engine, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.attributes import flag_modified

from gentrace.core.profile import Target
from gentrace.runtime.guard import Guard
from gentrace.runtime.hooks.committed import CommittedChanges
from gentrace.runtime.store.status import StatusChange
from tools.servers import PostgresServer


class Word(Enum):
    """Statuses as an enum has them."""

    PENDING = "Pending"
    FAILED = "Failed"


class Base(DeclarativeBase):
    pass


class Item(Base):
    """What is watched."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    note: Mapped[str] = mapped_column(default="")
    asset_id: Mapped[int | None]


class Special(Item):
    """A subclass of it."""


class Other(Base):
    """What is not."""

    __tablename__ = "others"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]


TARGET = Target(
    "model",
    "model",
    ("a:b",),
    {"id": ("self.id",), "status": ("self.status",), "asset": ("self.asset_id",)},
)
Told = list[StatusChange]


@pytest.fixture
def dropped() -> Told:
    """What was coming and did not come."""
    return []


@pytest.fixture
def coming() -> Told:
    """What was coming, as its commit began."""
    return []


@contextmanager
def listening(
    tell: Callable[[StatusChange], None],
    dropped: Callable[[StatusChange], None],
    coming: Callable[[StatusChange], None] = lambda _change: None,
) -> Generator[None]:
    """The listeners are in; none is left behind."""
    engine: Any = SimpleNamespace(
        guard=lambda name: Guard(name),
        profile=SimpleNamespace(packages=(__name__,)),
        undo=[],
        active=True,
    )
    before = _listening()  # the hooked host of other tests may be
    CommittedChanges(engine, TARGET, Item, tell, coming, dropped=dropped).install()
    assert _listening() != before
    yield
    for undo in reversed(engine.undo):
        undo()
    assert _listening() == before


@pytest.fixture
def told(dropped: Told, coming: Told) -> Generator[Told]:
    """What was told, while the listeners are in."""
    found: Told = []
    with listening(found.append, dropped.append, coming.append):
        yield found


def _listening() -> list[Any]:
    """Who listens to every session's commits and statements."""
    every: Any = Session().dispatch
    return [*every.before_commit, *every.after_commit, *every.do_orm_execute]


@pytest.fixture
async def session(told: Told) -> AsyncGenerator[AsyncSession]:
    """A session with item 1, pending."""
    engine = create_async_engine("sqlite+aiosqlite://")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine, expire_on_commit=False)() as made:
        made.add(Item(status="pending"))
        await made.commit()
        told.clear()
        yield made
    await engine.dispose()


def words(told: Told) -> list[tuple[str, str | None, str]]:
    return [(change.generation_id, change.old, change.new) for change in told]


def unsure(told: Told) -> list[tuple[str, str, bool]]:
    return [(change.generation_id, change.new, change.unsure) for change in told]


async def test_a_new_row_is_told_with_its_id(session: AsyncSession, told: Told) -> None:
    session.add(Item(status="pending"))
    await session.flush()
    assert told == []
    await session.commit()
    assert words(told) == [("2", None, "pending")]
    assert told[0].inserted


async def test_a_change_says_where_it_was_made(session: AsyncSession, told: Told) -> None:
    item = await session.get_one(Item, 1)
    item.status = "processing"
    await session.commit()
    assert words(told) == [("1", "pending", "processing")]
    assert told[0].where.startswith(f"{__name__}:test_a_change_says_where")
    assert told[0].at_ns > 0


async def test_the_same_status_again_and_another_column_are_no_change(
    session: AsyncSession, told: Told
) -> None:
    item = await session.get_one(Item, 1)
    item.status = "pending"
    item.note = "x"
    await session.commit()
    assert told == []


async def test_what_is_rolled_back_or_never_committed_did_not_happen(
    session: AsyncSession, told: Told, dropped: Told
) -> None:
    item = await session.get_one(Item, 1)
    item.status = "failed"
    await session.flush()
    await session.rollback()
    assert words(dropped) == [("1", "pending", "failed")]
    item = await session.get_one(Item, 1)
    item.status = "failed"
    await session.flush()
    await session.close()
    assert words(dropped) == [("1", "pending", "failed")] * 2
    await session.commit()
    assert told == []


async def test_it_is_coming_when_its_commit_begins(session: AsyncSession, coming: Told) -> None:
    """Flushed is not about to be committed: much may come in between, and a death with it."""
    coming.clear()
    item = await session.get_one(Item, 1)
    item.status = "failed"
    await session.flush()
    async with session.begin_nested():
        await session.execute(update(Item).where(Item.id == 1).values(status="cancelled"))
    assert not coming
    item.status = "completed"
    await session.commit()
    assert [change.new for change in coming] == ["cancelled", "completed"]
    item.status = "failed"
    await session.flush()
    assert len(coming) == 2
    await session.rollback()
    assert len(coming) == 2


async def test_savepoints(session: AsyncSession, told: Told, dropped: Told) -> None:
    item = await session.get_one(Item, 1)
    async with session.begin_nested():
        item.status = "kept"
    savepoint = await session.begin_nested()
    item.status = "dropped"
    await session.flush()
    await savepoint.rollback()
    async with session.begin_nested(), session.begin_nested():
        item.status = "deep"
    assert told == []
    assert words(dropped) == [("1", "kept", "dropped")]
    await session.commit()
    # after the rollback the old status was not loaded, and nobody loads it for our sake
    assert words(told) == [("1", "pending", "kept"), ("1", None, "deep")]
    assert not any(change.inserted for change in told)
    assert len(dropped) == 1


async def test_an_outer_rollback_takes_released_savepoints_with_it(
    session: AsyncSession, told: Told, dropped: Told
) -> None:
    item = await session.get_one(Item, 1)
    async with session.begin_nested():
        item.status = "kept"
    assert dropped == []
    await session.rollback()
    assert words(dropped) == [("1", "pending", "kept")]
    await session.commit()
    assert told == []


async def test_a_bulk_update_counts_by_its_rows(session: AsyncSession, told: Told) -> None:
    lost = update(Item).where(Item.id == 1, Item.status == "failed").values(status="pending")
    assert (await session.execute(lost)).rowcount == 0  # type: ignore[attr-defined]
    won = update(Item).where(Item.id == 1, Item.status == "pending").values(status="failed")
    assert (await session.execute(won)).rowcount == 1  # type: ignore[attr-defined]
    assert told == []
    await session.commit()
    assert words(told) == [("1", None, "failed")]


@pytest.mark.parametrize(
    "statement",
    [
        lambda: update(Item).where(Item.id.in_([1])).values(status="failed"),
        lambda: update(Item).where(Item.id == 1).values({Item.status: "failed"}),
        lambda: update(Special).where(Special.id == 1).values(status="failed"),
        lambda: update(Item).where((Item.id == 1) | (Item.id == 1)).values(status="failed"),
        lambda: update(Item).where(Item.id == 1).ordered_values((Item.status, "failed")),
    ],
)
async def test_ways_of_a_bulk_update(
    session: AsyncSession, told: Told, statement: Callable[[], Any]
) -> None:
    await session.execute(statement())
    await session.commit()
    assert words(told) == [("1", None, "failed")]


async def test_a_bulk_update_whose_values_are_given_at_its_execution(
    session: AsyncSession, told: Told
) -> None:
    bound = update(Item).where(Item.id == bindparam("which")).values(status=bindparam("to"))
    await session.execute(bound, {"which": 1, "to": "failed"})
    await session.execute(update(Item).where(Item.id == 1), {"status": "pending"})
    await session.commit()
    assert unsure(told) == [("1", "failed", False), ("1", "pending", False)]


async def test_a_bulk_update_that_meets_some_of_the_rows_that_it_names(
    session: AsyncSession, told: Told
) -> None:
    await session.execute(update(Item).where(Item.id.in_([1, 7])).values(status="failed"))
    await session.commit()
    assert unsure(told) == [("1", "", True), ("7", "", True)]


async def test_a_bulk_update_to_what_only_the_database_knows(
    session: AsyncSession, told: Told
) -> None:
    to = case((Item.status == "pending", "failed"), else_="completed")
    await session.execute(update(Item).where(Item.id == 1).values(status=to))
    await session.execute(update(Item).where(Item.id == 7).values(status=to))
    await session.execute(update(Item).where(Item.id == 1).values(note=func.lower("X")))
    await session.commit()
    assert unsure(told) == [("1", "", True)]


@pytest.mark.parametrize(
    "statement",
    [
        lambda: update(Item).returning(Item.id),
        lambda: select(Item).from_statement(update(Item).returning(Item)),
    ],
)
async def test_a_bulk_update_whose_rows_are_counted_as_they_are_fetched(
    session: AsyncSession, told: Told, statement: Callable[[], Any]
) -> None:
    made: Any = statement()
    changing = getattr(made, "element", made).where(Item.id == 1).values(status="failed")
    made = select(Item).from_statement(changing) if made.is_select else changing
    assert len((await session.execute(made)).all()) == 1
    await session.commit()
    assert unsure(told) == [("1", "", True)]


async def test_rows_that_a_bulk_update_names_without_meeting_them(
    session: AsyncSession, told: Told
) -> None:
    session.add(Item(status="pending"))
    await session.commit()
    told.clear()
    notes = select(Item.note).where(Item.id == 2)
    options = {"synchronize_session": False}
    meets = update(Item).where(Item.id == 1, Item.note.in_(notes)).values(status="failed")
    await session.execute(meets, execution_options=options)
    others = update(Item).where(~((Item.id == 2) | (Item.id == 7))).values(status="failed")
    await session.execute(others)
    await session.commit()
    assert unsure(told) == [("1", "failed", False)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_who_loses_a_bulk_update_with_returning(
    postgres_server: PostgresServer, told: Told, driver: str
) -> None:
    engine = create_async_engine(postgres_server.new_database(driver))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add(Item(status="pending"))
        await session.commit()
        told.clear()
        for status, rows in (("failed", []), ("pending", [1])):
            one = update(Item).where(Item.id == 1, Item.status == status)
            taken = one.values(status="processing").returning(Item.id)
            assert list((await session.scalars(taken)).all()) == rows
        await session.commit()
    await engine.dispose()
    assert unsure(told) == [("1", "processing", False)]


async def test_a_bulk_update_by_primary_keys(session: AsyncSession, told: Told) -> None:
    session.add(Item(status="pending"))
    await session.commit()
    told.clear()
    rows = [{"id": 1, "status": "failed"}, {"id": 2, "status": "completed"}]
    await session.execute(update(Item), rows)
    await session.commit()
    assert words(told) == [("1", None, "failed"), ("2", None, "completed")]


async def test_a_bulk_update_of_other_things(session: AsyncSession, told: Told) -> None:
    await session.execute(update(Item).where(Item.id == 1).values(note="x"))
    await session.execute(update(Other).where(Other.id == 1).values(status="x"))
    await session.execute(update(Item).where(Item.status == "pending").values(status="x"))
    await session.commit()
    assert told == []  # the last names no id: nobody can say whose status that was


async def test_a_bulk_update_that_is_rolled_back(session: AsyncSession, told: Told) -> None:
    await session.execute(update(Item).where(Item.id == 1).values(status="failed"))
    await session.rollback()
    await session.commit()
    assert told == []


async def test_what_else_the_profile_reads(session: AsyncSession, told: Told) -> None:
    item = await session.get_one(Item, 1)
    item.asset_id = 5
    await session.commit()
    item.status = "completed"
    await session.commit()
    assert [(c.new, c.read) for c in told] == [("", {"asset": "5"}), ("completed", {"asset": "5"})]


def test_a_plain_session_and_a_subclass(told: Told) -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Special(status="pending"))
    assert words(told) == [("1", None, "pending")]
    engine.dispose()


class Unhashable(Session):
    """A class with ``__eq__`` has no ``__hash__``."""

    def __eq__(self, other: object) -> bool:
        return self is other


def test_a_session_without_a_hash(told: Told) -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Unhashable(engine) as session, session.begin():
        session.add(Item(status="pending"))
    assert words(told) == [("1", None, "pending")]
    engine.dispose()


def test_a_session_that_is_left_open_is_not_kept(told: Told) -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    session = Session(engine)
    session.add(Item(status="pending"))
    session.flush()
    left = weakref.ref(session)
    session.connection().close()
    del session
    gc.collect()
    assert left() is None
    engine.dispose()


def set_elsewhere() -> None:
    for _ in range(50):
        Item(status="never added")


async def test_a_place_goes_with_its_instance(session: AsyncSession, told: Told) -> None:
    set_elsewhere()
    items = [Item() for _ in range(50)]
    for item in items:
        vars(item)["status"] = "pending"  # as SQLAlchemy's own code does: no event
        flag_modified(item, "status")
    session.add_all(items)
    await session.commit()
    assert [change.where for change in told] == [""] * 50


async def test_one_change_that_cannot_be_told_takes_no_other_with_it(
    session: AsyncSession, swallowed: list[Any]
) -> None:
    found: Told = []

    def tell(change: StatusChange) -> None:
        if change.generation_id == "2":
            raise LookupError("ours")
        found.append(change)

    with listening(tell, found.append):
        session.add_all([Item(status="pending") for _ in range(3)])
        await session.commit()
    assert words(found) == [("3", None, "pending"), ("4", None, "pending")]
    assert len(swallowed) == 1


async def test_an_errors_in_our_work_is_not_the_hosts(
    session: AsyncSession, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gentrace.runtime import notices, reading
    from gentrace.runtime.hooks import bulk

    def broken(*_: Any) -> Any:
        raise LookupError("ours")

    swallowed: list[str] = []
    monkeypatch.setattr(notices, "on_swallowed", [lambda where, exc: swallowed.append(where)])
    monkeypatch.setattr(reading, "read_text", broken)
    monkeypatch.setattr(bulk, "_ids_in", broken)
    item = await session.get_one(Item, 1)
    item.status = "failed"
    await session.commit()
    result: Any = await session.execute(update(Item).where(Item.id == 1).values(status="x"))
    await session.commit()
    assert result.rowcount == 1
    assert swallowed
    assert told == []
