"""Status changes from SQLAlchemy, whatever code made them, once they are committed.

The attribute's ``set`` event says where, the flush says what (id, old and new status), and
``do_orm_execute`` sees the bulk UPDATEs that neither knows. Changes wait for their transaction:
a rollback, a rolled-back savepoint or a session closed without commit drops them; bulk updates
count only where the database says that a row was changed.

Observed on: SQLAlchemy 2.0 and 2.1, host revisions 2025-12-05, 2026-04-30 and 2026-07-02.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from gentrace.core.profile import Target
from gentrace.runtime import reading
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.runs.status import StatusChange

_MAX_FRAMES = 40
_MAX_PLACES = 256
_NOT_READ = ("id", "status", "prompt")


class CommittedChanges:
    """Listens to a mapped class and to all sessions; tells of each change when it is committed.

    Args:
        tell: called with what one transaction changed, in the host's time.
        coming: called with each change before it is committed, if it ever is.
    """

    def __init__(
        self,
        engine: Engine,
        target: Target,
        cls: Any,
        tell: Callable[[StatusChange], None],
        coming: Callable[[StatusChange], None] = lambda _change: None,
    ) -> None:
        self.engine, self.target, self.cls, self._tell = engine, target, cls, tell
        self._coming = coming
        self.guard = engine.guard(target.name)
        path = target.read.get("status", ("self.status",))[0]
        self.column = path.rpartition(".")[2]
        self._packages = engine.profile.packages
        self._places: dict[int, str] = {}
        # session -> transaction -> what it changed so far
        self._pending: WeakKeyDictionary[Any, dict[Any, list[StatusChange]]] = WeakKeyDictionary()

    def install(self) -> bool:
        """Listen, until uninstrument; False where the class has no such column."""
        from sqlalchemy import event
        from sqlalchemy.orm import Session

        attribute = getattr(self.cls, self.column, None)
        if attribute is None:
            return False
        listeners: list[tuple[Any, str, Any]] = [
            (attribute, "set", self._on_set),
            (self.cls, "after_insert", self._on_inserted),
            (self.cls, "after_update", self._on_updated),
            (Session, "do_orm_execute", self._on_execute),
            (Session, "after_commit", self._on_commit),
            (Session, "after_soft_rollback", self._on_rollback),
            (Session, "after_transaction_end", self._on_end),
        ]
        for owner, name, method in listeners:
            listener = _plain(method)
            options = {} if owner is Session else {"propagate": True}
            event.listen(owner, name, listener, **options)
            self.engine.undo.append(_remover(event, owner, name, listener))
        return True

    def _guarded(self, work: Callable[..., Any], *args: Any) -> Any:
        if self.guard.off or not self.engine.active:
            return None
        try:
            result = work(*args)
            self.guard.passed()
        except Exception as exc:
            self.guard.failed(exc)
            return None
        return result

    # -- what was changed ------------------------------------------------------------------
    def _on_set(self, instance: Any, value: Any, old: Any, _initiator: Any) -> None:
        self._guarded(self._placed, instance)

    def _placed(self, instance: Any) -> None:
        place = self._host_frame()
        if place:
            if len(self._places) >= _MAX_PLACES:
                self._places.clear()
            self._places[id(instance)] = place

    def _host_frame(self) -> str:
        """The host's function that is setting the status, from the stack."""
        frame: Any = sys._getframe(3)  # pyright: ignore[reportPrivateUsage]
        for _ in range(_MAX_FRAMES):
            if frame is None:
                return ""
            module = str(frame.f_globals.get("__name__", ""))
            if module.startswith(self._packages) and frame.f_code.co_name != "__init__":
                return f"{module}:{frame.f_code.co_qualname}"
            frame = frame.f_back
        return ""

    def _on_inserted(self, _mapper: Any, _connection: Any, instance: Any) -> None:
        self._guarded(self._flushed, instance, True)

    def _on_updated(self, _mapper: Any, _connection: Any, instance: Any) -> None:
        self._guarded(self._flushed, instance, False)

    def _flushed(self, instance: Any, inserted: bool) -> None:
        from sqlalchemy import inspect
        from sqlalchemy.orm import object_session

        where = self._places.pop(id(instance), "")
        history = inspect(instance).attrs[self.column].history
        new = _word(history.added[0]) if history.added else None
        old = _word(next(iter(history.deleted or ()), None))
        seen = Call(self.target.name, None, instance, (), {})
        generation_id = reading.read_text(self.target, "id", seen)
        session = object_session(instance)
        if generation_id is None or session is None:
            return
        changed = new is not None and new != old
        read = {
            key: value
            for key, paths in self.target.read.items()
            if key not in _NOT_READ
            and (changed or _has_changed(instance, paths))
            and (value := reading.read_text(self.target, key, seen)) is not None
        }
        if changed or read:
            word = (new or "") if changed else ""
            told = StatusChange(generation_id, old, word, where, read, inserted=inserted)
            self._pend(session, told)

    def _on_execute(self, state: Any) -> Any:
        """A bulk UPDATE: the host's statement is executed by us, to learn how many rows it met."""
        found = self._guarded(self._bulk, state) if state.is_update else None
        if not found:
            return None
        result = state.invoke_statement()
        # An update by primary keys has no count: it raises where a row is not there.
        if getattr(result, "rowcount", len(found)) >= len(found):
            for change in found:
                self._guarded(self._pend, state.session, change)
        return result

    def _bulk(self, state: Any) -> list[StatusChange]:
        mapper = state.bind_mapper
        if mapper is None or not issubclass(mapper.class_, self.cls):
            return []
        if isinstance(state.parameters, list):
            key = mapper.get_property_by_column(mapper.primary_key[0]).key
            rows = [(row.get(key), row.get(self.column)) for row in state.parameters]
        else:
            given = state.statement.compile().params
            new = given.get(mapper.attrs[self.column].columns[0].key)
            rows = [(i, new) for i in _ids_in(state.statement.whereclause, mapper)]
        texts = [(reading.text(i), _word(new)) for i, new in rows]
        return [StatusChange(i, None, new) for i, new in texts if i is not None and new is not None]

    # -- until it counts -------------------------------------------------------------------
    def _pend(self, session: Any, change: StatusChange) -> None:
        transaction = session.get_nested_transaction() or session.get_transaction()
        self._pending.setdefault(session, {}).setdefault(transaction, []).append(change)
        self._coming(change)

    def _on_commit(self, session: Any) -> None:
        if session in self._pending:
            self._guarded(self._committed, session)

    def _committed(self, session: Any) -> None:
        levels = self._pending[session]
        nested = session.get_nested_transaction()
        if nested is not None:  # a savepoint was released: what it did is its parent's now
            inner = levels.pop(nested, [])
            outer = nested.parent
            while outer is not None and not outer.nested and outer.parent is not None:
                outer = outer.parent  # past what a flush opened for itself
            levels.setdefault(outer, []).extend(inner)
            return
        del self._pending[session]
        at_ns = time.time_ns()
        for changes in levels.values():
            for change in changes:
                self._tell(replace(change, at_ns=at_ns))

    def _on_rollback(self, session: Any, previous: Any) -> None:
        if session in self._pending:
            self._pending[session].pop(previous, None)

    def _on_end(self, session: Any, transaction: Any) -> None:
        """A transaction that ends without having been committed takes its changes with it."""
        if session in self._pending:
            if transaction.parent is None:
                del self._pending[session]
            else:
                self._pending[session].pop(transaction, None)


def _ids_in(where: Any, mapper: Any) -> Iterator[Any]:
    """The primary keys that a WHERE clause names: ``id = x`` or ``id IN (…)``."""
    from sqlalchemy.sql import operators, visitors

    (key, *_) = mapper.primary_key
    for element in visitors.iterate(where) if where is not None else ():
        operator = getattr(element, "operator", None)
        if operator not in (operators.eq, operators.in_op):
            continue
        left, right = getattr(element, "left", None), getattr(element, "right", None)
        if getattr(left, "key", None) != key.key or getattr(left, "table", None) is not key.table:
            continue
        value = getattr(right, "value", None)
        yield from value if isinstance(value, list | tuple | set) else (value,)


def _has_changed(instance: Any, paths: tuple[str, ...]) -> bool:
    """Whether one of these attributes of the instance was written by this flush."""
    from sqlalchemy import inspect

    attributes = inspect(instance).attrs
    names = {path.split(".")[1] for path in paths if path.startswith("self.")}
    return any(name in attributes and attributes[name].history.added for name in names)


def _word(value: Any) -> str | None:
    """A status as the profile spells it: an enum's value, in lower case."""
    text = reading.text(value)
    return text.lower() if text is not None else None


def _plain(method: Any) -> Any:
    """SQLAlchemy looks at a listener's signature: give it a function of its own each time."""

    def listener(*args: Any) -> Any:
        return method(*args)

    return listener


def _remover(event: Any, owner: Any, name: str, listener: Any) -> Callable[[], None]:
    def remove() -> None:
        event.remove(owner, name, listener)

    return remove
