"""What a process does for runs beside its own part in them: settles, buries, and lives.

Wires the run store to the exporter: run spans and waits that the store makes certain, spans that
are open and may be left so, the record that says that this process is alive.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from gentrace.core.run.events import OpenSpan
from gentrace.runtime import notices
from gentrace.runtime.context import Run
from gentrace.runtime.engine import Engine
from gentrace.runtime.open_spans import OpenSpans
from gentrace.runtime.store.dead import Undertaker
from gentrace.runtime.store.settle import Settler
from gentrace.runtime.store.sweep import Sweeper

_NOTED_WITHIN_S = 0.2
_LEAVE_S = 0.3
Emit = Callable[[ReadableSpan, Callable[[bool], None] | None], None]


class Upkeep:
    """Begins with the process's role and ends with the process.

    Args:
        emit: sends a span that was made whole.
        more: what else the record of liveness tells.
    """

    def __init__(
        self,
        engine: Engine,
        emit: Emit,
        more: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self.engine = engine
        self._emit, self._more = emit, more
        self.open = OpenSpans(
            self._note, lambda: engine.process.instance, engine.process.shown_name
        )
        engine.tracing.open = self.open
        engine.pipeline.before, engine.pipeline.after = self._leaving, self.open.left
        engine.store.handed_on = self.open.handed_on
        engine.liveness.describe = self._describe
        self.settler = Settler(engine.store, self._send)
        self.undertaker = Undertaker(engine.store, self._send)
        self.sweeper = Sweeper(engine.store)
        engine.store.regular.append(self._beat)

    def begin(self) -> None:
        """The process has its role: from now on it looks after runs, and says that it lives."""
        self.engine.store.thread.start()

    def _send(self, span: ReadableSpan, done: Callable[[bool], None] | None = None) -> None:
        try:
            self._emit(span, done)
        except Exception as exc:
            notices.swallowed("a run's span", exc)
            if done is not None:
                done(False)

    def _note(self, run: Run, opened: tuple[OpenSpan, ...], closed: tuple[str, ...]) -> None:
        urgent = any(not span.end_ns for span in opened)
        self.engine.store.note(run, opened=opened, closed=closed, urgent=urgent)

    def _leaving(self, batch: list[Any]) -> None:
        """Spans are about to leave: their open parents go into the store before them."""
        if self.open.leaving(batch):
            self.engine.store.flush(_NOTED_WITHIN_S)

    def _describe(self) -> dict[str, Any]:
        engine = self.engine
        return {
            "instance": engine.process.instance,
            "service": engine.process.service_name(),
            "role": engine.process.role,
            "pid": engine.process.pid,
            "machine": platform.node(),
            "queue": engine.process.queue,
            "spans_lost": engine.pipeline.lost,
            "changes_lost": engine.store.lost,
            "changes_too_late": engine.store.too_late,
            "hooks_off": [g.name for g in list(engine.guards.values()) if g.gave_up],
            **self._more(),
        }

    def _beat(self, client: Any) -> float:
        if not self.engine.process.role:
            return 1.0
        store = self.engine.store
        return self.engine.liveness.beat(client, store.key, self.engine.process.instance)

    def ending(self) -> None:
        """Have the others told that this process ends by itself. Never waits.

        The host may be gone without another word (uvicorn ends by the signal that stopped it).
        Where it goes on, the next beat says so.
        """
        if not self.engine.process.role or not self.engine.store.answers:
            return
        self.engine.store.thread.ask(self._leave)

    def _leave(self, client: Any) -> None:
        """Once all that was told is written: what is not, others write for the dead only."""
        store = self.engine.store
        if client is not None and (store.stream.unsent or store.stream.sender.waiting):
            store.thread.ask(self._leave, hurry=True)
        elif client is not None:
            self.engine.liveness.leave(client, store.key, self.engine.process.instance)

    def leave(self) -> None:
        """As :meth:`ending`, at the process's end: wait until they are told, for a moment."""
        self.ending()
        self.engine.store.thread.flush(_LEAVE_S)

    def after_fork(self) -> None:
        """In a forked child: what was open and awaited is the parent's."""
        self.open.forget()
        self.engine.liveness.forget()
