"""The host's row of a submission, seen as it is written, before the provider has answered.

It goes on the provider.execute span at work, so that a refused, failed or killed submission names
its row, too. A row that is written outside of a submission, or for another generation, is none's.

Observed on: SQLAlchemy 2.0 and 2.1, host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from gentrace.core import names
from gentrace.core.profile import Target
from gentrace.runtime import reading
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.submission import under_way


def watch_submission(engine: Engine, target: Target, module: ModuleType, cls: Any) -> None:
    """Listen to the INSERTs of a mapped class, until uninstrument."""
    from sqlalchemy import event

    guard = engine.guard(target.name)

    def inserted(instance: Any) -> None:
        submission = under_way.get()
        if submission is None:
            return
        seen = Call(target.name, None, instance, (), {})
        row, generation_id = (reading.read_text(target, key, seen) for key in ("submission", "id"))
        if row is None or generation_id not in (None, submission.run.generation_id):
            return
        submission.span.set_attribute(names.SUBMISSION_ID, row)
        if engine.tracing.open is not None:
            engine.tracing.open.changed(submission.span)

    def after_insert(_mapper: Any, _connection: Any, instance: Any) -> None:
        if guard.off or not engine.active:
            return
        try:
            inserted(instance)
            guard.passed()
        except Exception as exc:
            guard.failed(exc)

    event.listen(cls, "after_insert", after_insert, propagate=True)
    engine.undo.append(lambda: event.remove(cls, "after_insert", after_insert))
