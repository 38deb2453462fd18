"""The mapped class of a generation: its id on INSERT, what a lookup's id loads, its prompt.

Its statuses are seen in hooks/committed.py.

Observed on: SQLAlchemy 2.0 and 2.1, host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from gentrace.core.profile import Target
from gentrace.runtime import context, reading
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.creation import creating


def watch_model(engine: Engine, target: Target, module: ModuleType, cls: Any) -> None:
    """Listen to the mapped class: the id on INSERT, the status of what a lookup's id loads.

    A generation that is loaded also shows its prompt, kept in memory only, so that it can be
    taken out of error messages in every process.
    """
    from sqlalchemy import event

    importlib.import_module("sqlalchemy.orm")  # classes have events from then on, mapped or not

    guard, final = engine.guard(target.name), engine.profile.statuses.final

    def guarded(work: Callable[[Any], None], instance: Any) -> None:
        if guard.off or not engine.active:
            return
        try:
            work(instance)
            guard.passed()
        except Exception as exc:
            guard.failed(exc)

    def inserted(instance: Any) -> None:
        creation, generation_id = creating.get(), _id_of(target, instance)
        if creation is not None and not creation.over and generation_id is not None:
            creation.run.identify(generation_id)

    def loaded(instance: Any) -> None:
        generation_id = _id_of(target, instance)
        if generation_id is None:
            return
        run = context.find(generation_id)
        if run is not None and not run.prompts:
            seen = Call(target.name, None, instance, (), {})
            run.prompts = reading.read_all(target, "prompt", seen)
        creation = creating.get()
        looked_up = creation is not None and not creation.over
        if not looked_up and (run is None or run.ended_ns):
            return
        seen = Call(target.name, None, instance, (), {})
        status = (reading.read_text(target, "status", seen) or "").lower()
        if run is not None and not run.ended_ns and status in final:
            # Another process ended it: whether that has settled is asked before it may go on.
            engine.store.runs.prefetch(generation_id, fresh=True)
        if creation is not None and looked_up and generation_id != creation.run.generation_id:
            creation.loaded[generation_id] = status

    def after_insert(_mapper: Any, _connection: Any, instance: Any) -> None:
        guarded(inserted, instance)

    def load(instance: Any, _context: Any) -> None:
        guarded(loaded, instance)

    def refresh(instance: Any, _context: Any, _attributes: Any) -> None:
        guarded(loaded, instance)

    for name, listener in (("after_insert", after_insert), ("load", load), ("refresh", refresh)):
        event.listen(cls, name, listener, propagate=True)
        engine.undo.append(_remover(event, cls, name, listener))


def _id_of(target: Target, instance: Any) -> str | None:
    return reading.read_text(target, "id", Call(target.name, None, instance, (), {}))


def _remover(event: Any, cls: Any, name: str, listener: Any) -> Callable[[], None]:
    def remove() -> None:
        event.remove(cls, name, listener)

    return remove
