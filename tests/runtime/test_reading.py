"""Reading the host's objects leaves no trace in them: no query, no property run twice, no error."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from gentrace.core.profile import Target
from gentrace.runtime import reading
from gentrace.runtime.guard import Call


class Base(DeclarativeBase):
    """The rows of this test."""


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    notes: Mapped[str] = mapped_column(default="", deferred=True)


class Pair(Base):
    __tablename__ = "pairs"
    left: Mapped[int] = mapped_column(primary_key=True)
    right: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def asked() -> Generator[tuple[Session, list[str]]]:
    """A session with a row and a pair, committed and expired, and the statements run since."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    statements: list[str] = []
    with Session(engine) as session:
        session.add_all([Row(id=7, status="pending"), Pair(left=1, right=2)])
        session.commit()

        def run(*given: Any) -> None:
            statements.append(given[2])

        event.listen(engine, "before_cursor_execute", run)
        yield session, statements
    engine.dispose()


def test_an_expired_object_is_not_loaded(asked: tuple[Session, list[str]]) -> None:
    session, statements = asked
    row = session.get_one(Row, 7)
    session.expire(row)
    statements.clear()
    assert reading.field(row, "status") is None
    assert reading.field(row, "notes") is None
    assert reading.field(row, "no_such_thing") is None
    assert reading.field(row, "id") == 7  # SQLAlchemy keeps the identity
    assert statements == []
    assert row.status == "pending"
    assert len(statements) == 1


def test_a_deferred_column_is_not_loaded(asked: tuple[Session, list[str]]) -> None:
    session, statements = asked
    row = session.get_one(Row, 7)
    statements.clear()
    assert (reading.field(row, "status"), reading.field(row, "notes")) == ("pending", None)
    assert statements == []


def test_a_detached_or_new_object(asked: tuple[Session, list[str]]) -> None:
    session, _ = asked
    row = session.get_one(Row, 7)
    session.expire(row)
    session.expunge(row)
    assert (reading.field(row, "id"), reading.field(row, "status")) == (7, None)
    new = Row(status="pending")
    assert (reading.field(new, "id"), reading.field(new, "status")) == (None, "pending")


def test_a_key_of_two_columns_is_no_id(asked: tuple[Session, list[str]]) -> None:
    session, statements = asked
    pair = session.get_one(Pair, (1, 2))
    session.expire(pair)
    statements.clear()
    assert reading.field(pair, "left") is None
    assert statements == []


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("obj", "name", "found"),
    [
        (None, "id", None),
        ({"id": 1}, "id", 1),
        ({}, "id", None),
        (SimpleNamespace(id=1), "id", 1),
        (SimpleNamespace(), "id", None),
        (["a", "b"], "1", "b"),
        (("a",), "1", None),
        ("text", "id", None),
    ],
)
def test_fields(obj: Any, name: str, found: Any) -> None:
    assert reading.field(obj, name) == found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, None),
        (7, "7"),
        (1.5, "1.5"),
        ("id", "id"),
        ("x" * 500, "x" * 200),
        (Colour.RED, "red"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"bytes", None),
        ({"secret": 1}, None),
        (SimpleNamespace(id=1), None),
    ],
)
def test_only_scalars_are_shown(value: Any, shown: str | None) -> None:
    assert reading.text(value) == shown


def target(*paths: str) -> Target:
    return Target("t", "status", ("m:f",), read={"id": paths})


def test_paths_are_tried_in_order_whatever_way_the_arguments_came() -> None:
    def host(self: Any, generation: Any, *rest: Any, account: Any = None, **more: Any) -> None:
        """The host's function."""

    generation, account = SimpleNamespace(id=7, kind=Colour.RED), {"id": 3}
    call = Call("t", host, "me", ("me", generation, 1, 2), {"account": account, "extra": "yes"})
    for paths, found in {
        ("args.generation.id",): 7,
        ("args.missing.id", "args.account.id"): 3,
        ("args.generation.kind",): "red",
        ("args.extra",): "yes",
        ("args.rest.1",): 2,
        ("=constant",): "constant",
        ("result.status", "args.extra"): "yes",
        ("error.code",): None,
        ("args",): None,
    }.items():
        assert reading.read(target(*paths), "id", call) == found
    assert reading.read(target("result.status"), "id", call, {"status": "done"}) == "done"
    assert reading.read(target("error.args.0"), "id", call, None, ValueError("why")) == "why"
    assert reading.read(target("self"), "id", call) == "me"
    assert reading.read(target("id"), "other", call) is None


def test_arguments_that_do_not_fit_are_no_error_of_ours() -> None:
    def host(a: int) -> None:
        """The host's function."""

    assert Call("t", host, None, (1, 2, 3), {"b": 4}).arguments == {"b": 4}


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists), st.text())
def test_any_field_of_anything(obj: Any, name: str) -> None:
    found = reading.field(obj, name)
    assert reading.text(found) is None or len(str(reading.text(found))) <= 200
