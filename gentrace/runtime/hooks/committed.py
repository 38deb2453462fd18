"""Status changes from SQLAlchemy, whatever code made them, once they are committed.

The attribute's ``set`` event says where, the flush says what (id, old and new status), and
``do_orm_execute`` sees the bulk UPDATEs that neither knows (hooks/bulk.py reads them). Changes
wait for their transaction: a rollback, a rolled-back savepoint or a session closed without commit
drops them. No event tells of ``bulk_update_mappings``, nor of an UPDATE of the table, in text or
by a connection: what these change is not seen.

Observed on: SQLAlchemy 2.0 and 2.1, host revisions 2025-12-05, 2026-04-30 and 2026-07-02.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from gentrace.core.profile import Target
from gentrace.runtime import reading
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks import bulk
from gentrace.runtime.store.status import StatusChange

_MAX_FRAMES = 40
_NOT_READ = ("id", "status", "prompt")
_WITH_A_STATUS = ("operation", "provider", "model")  # whatever changes of them later, it was asked


class CommittedChanges:
    """Listens to a mapped class and to all sessions; tells of each change when it is committed.

    Args:
        tell: called with what one transaction changed, in the host's time.
        made: called with each change that a flush or statement made; nothing counts by that.
        coming: called with a generation's last change when its commit begins.
        dropped: called with each change that was coming and will not be committed.
    """

    def __init__(
        self,
        engine: Engine,
        target: Target,
        cls: Any,
        tell: Callable[[StatusChange], None],
        coming: Callable[[StatusChange], None] = lambda _change: None,
        made: Callable[[StatusChange], None] = lambda _change: None,
        dropped: Callable[[StatusChange], None] = lambda _change: None,
    ) -> None:
        self.engine, self.target, self.cls, self._tell = engine, target, cls, tell
        self._coming, self._made, self._dropped = coming, made, dropped
        self.guard = engine.guard(target.name)
        path = target.read.get("status", ("self.status",))[0]
        self.column = path.rpartition(".")[2]
        self._packages = engine.profile.packages
        # an instance's state -> where its status was set
        self._places: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        # transaction -> what it changed so far (a session may be of a class without a hash)
        self._pending: WeakKeyDictionary[Any, list[StatusChange]] = WeakKeyDictionary()
        self._committing: WeakSet[Any] = WeakSet()

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
            (Session, "before_commit", self._on_commit_begun),
            (Session, "after_commit", self._on_commit),
            (Session, "after_soft_rollback", self._on_end),
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
        from sqlalchemy import inspect

        self._places[inspect(instance)] = self._host_frame()

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

        state = inspect(instance)
        where = self._places.pop(state, "")
        history = state.attrs[self.column].history
        new = bulk.word(history.added[0]) if history.added else None
        old = bulk.word(next(iter(history.deleted or ()), None))
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
            and (changed or (key not in _WITH_A_STATUS and _has_changed(instance, paths)))
            and (value := reading.read_text(self.target, key, seen)) is not None
        }
        if changed or read:
            word = (new or "") if changed else ""
            told = StatusChange(generation_id, old, word, where, read, inserted=inserted)
            self._pend(session, told)

    def _on_execute(self, state: Any) -> Any:
        """A bulk UPDATE: the host's statement is executed by us, to learn how many rows it met."""
        if not state.is_update:
            return None
        found = self._guarded(bulk.named, state, self.cls, self.column)
        if not found:
            return None
        result = state.invoke_statement()
        for change in self._guarded(bulk.counted, found, result) or ():
            self._guarded(self._pend, state.session, change)
        return result

    # -- until it counts -------------------------------------------------------------------
    def _pend(self, session: Any, change: StatusChange) -> None:
        transaction = session.get_nested_transaction() or session.get_transaction()
        self._pending.setdefault(transaction, []).append(change)
        self._made(change)
        if transaction in self._committing:
            self._coming(change)

    def _on_commit_begun(self, session: Any) -> None:
        self._guarded(self._begun, session)

    def _begun(self, session: Any) -> None:
        """A commit begins: what was flushed before is coming now, and so is what it flushes."""
        transaction = session.get_transaction()
        if transaction is None or session.get_nested_transaction() is not None:
            return  # a savepoint's release makes nothing certain
        self._committing.add(transaction)
        last = {change.generation_id: change for change in self._pending.get(transaction, ())}
        for change in last.values():
            self._coming(change)

    def _on_commit(self, session: Any) -> None:
        if self._pending:
            for change in self._guarded(self._committed, session) or ():
                self._guarded(self._tell, change)

    def _committed(self, session: Any) -> list[StatusChange]:
        """What counts now that a transaction of that session was committed."""
        nested = session.get_nested_transaction()
        changes = self._pending.pop(nested or session.get_transaction(), [])
        if nested is None:
            at_ns = time.time_ns()
            return [replace(change, at_ns=at_ns) for change in changes]
        outer = nested.parent  # a savepoint was released: what it did is its parent's now
        while outer is not None and not outer.nested and outer.parent is not None:
            outer = outer.parent  # past what a flush opened for itself
        if changes:
            self._pending.setdefault(outer, []).extend(changes)
        return []

    def _on_end(self, _session: Any, transaction: Any) -> None:
        """A transaction that ends without having been committed takes its changes with it."""
        if transaction in self._pending:
            for change in self._pending.pop(transaction):
                self._guarded(self._dropped, change)


def _has_changed(instance: Any, paths: tuple[str, ...]) -> bool:
    """Whether one of these attributes of the instance was written by this flush."""
    from sqlalchemy import inspect

    attributes = inspect(instance).attrs
    names = {path.split(".")[1] for path in paths if path.startswith("self.")}
    return any(name in attributes and attributes[name].history.added for name in names)


def _plain(method: Any) -> Any:
    """SQLAlchemy looks at a listener's signature: give it a function of its own each time."""

    def listener(*args: Any) -> Any:
        return method(*args)

    return listener


def _remover(event: Any, owner: Any, name: str, listener: Any) -> Callable[[], None]:
    def remove() -> None:
        event.remove(owner, name, listener)

    return remove
