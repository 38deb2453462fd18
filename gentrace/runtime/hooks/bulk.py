"""What a bulk UPDATE through a session did to whose status: by its statement, and by its count.

Rows are named by ``id = …`` and ``id IN (…)``, alone or joined by AND and OR; who else a WHERE
clause meets is known to the database only. Where it leaves open which of them it changed, or to
what, the changes say that they are not sure. hooks/committed.py tells them with their transaction.

Observed on: SQLAlchemy 2.0 and 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gentrace.runtime import reading
from gentrace.runtime.store.status import StatusChange

_UNSET = object()


def named(state: Any, cls: Any, column: str) -> list[StatusChange]:
    """The changes that the UPDATE of an ``ORMExecuteState`` is about to make, by its statement.

    Args:
        cls: the mapped class that is watched.
        column: its attribute with the status.
    """
    mapper = state.bind_mapper
    if mapper is None or not issubclass(mapper.class_, cls):
        return []
    if isinstance(state.parameters, list):
        key = mapper.get_property_by_column(mapper.primary_key[0]).key
        rows = [(row.get(key), row[column]) for row in state.parameters if column in row]
    else:
        # ``select(…).from_statement(update(…))`` has the UPDATE in it
        statement = getattr(state.statement, "element", state.statement)
        given = state.parameters or {}
        new = _set_to(statement, mapper.attrs[column].columns[0], given)
        if new is _UNSET:
            return []
        rows = [(i, new) for i in _ids_in(statement.whereclause, mapper, given)]
    found = {i: word(value) for row, value in rows if (i := reading.text(row)) is not None}
    return [StatusChange(i, None, new or "", unsure=new is None) for i, new in found.items()]


def counted(found: list[StatusChange], result: Any) -> list[StatusChange]:
    """What is known of these changes once their UPDATE has run: none where it met no row."""
    rows = _rows(result, len(found))
    if rows == 0:
        return []
    if rows >= len(found):
        return found
    return [replace(change, new="", unsure=True) for change in found]


def word(value: Any) -> str | None:
    """A status as the profile spells it: an enum's value, in lower case."""
    text = reading.text(value)
    return text.lower() if text is not None else None


def _rows(result: Any, named: int) -> int:
    """How many rows an UPDATE met, -1 where that is not known."""
    raw = getattr(result, "raw", None)  # behind the rows that a RETURNING gives
    if raw is None:
        # An update by primary keys has no count: it raises where a row is not there.
        return getattr(result, "rowcount", named)
    dialect = getattr(raw, "dialect", None)
    if not getattr(dialect, "supports_sane_rowcount_returning", False):
        return -1  # SQLite counts the rows as they are fetched
    return getattr(raw, "rowcount", -1)


def _set_to(statement: Any, column: Any, given: Mapping[str, Any]) -> Any:
    """What the statement sets the column to: `_UNSET`, or None where that is no constant."""
    if column.key in given:
        return given[column.key]
    values = dict(getattr(statement, "_ordered_values", None) or statement._values or ())
    return _constant(values[column], given) if column in values else _UNSET


def _constant(expression: Any, given: Mapping[str, Any]) -> Any:
    from sqlalchemy import BindParameter

    if not isinstance(expression, BindParameter):
        return None
    bound: Any = expression
    return given.get(bound.key, bound.value)  # one with a callable has no value


def _ids_in(where: Any, mapper: Any, given: Mapping[str, Any]) -> Iterator[Any]:
    """The primary keys that a WHERE clause names; not those below a NOT or in a subquery."""
    from sqlalchemy.sql import elements, operators

    (key, *_) = mapper.primary_key
    if isinstance(where, elements.BooleanClauseList | elements.Grouping):
        for part in where.get_children():
            yield from _ids_in(part, mapper, given)
    if not isinstance(where, elements.BinaryExpression):
        return
    compared: Any = where
    left, operator = compared.left, compared.operator
    if operator not in (operators.eq, operators.in_op):
        return
    if getattr(left, "key", None) == key.key and getattr(left, "table", None) is key.table:
        value = _constant(compared.right, given)
        yield from value if isinstance(value, list | tuple | set) else (value,)
