"""Everything the hooks share, in one object: profile, tracing, store, process, guards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gentrace.core.profile import Profile
from gentrace.core.settings import Settings
from gentrace.runtime.arrivals import Arrivals
from gentrace.runtime.export.pipeline import EXIT_DEADLINE_S, Pipeline
from gentrace.runtime.guard import Guard
from gentrace.runtime.liveness import Liveness
from gentrace.runtime.process import Process
from gentrace.runtime.store.status import StatusChange
from gentrace.runtime.store.store import RunStore
from gentrace.runtime.tracing import Tracing
from gentrace.runtime.wrapping import Wrapper, replace

_STORE_S = (0.3, 1.0)
"""The run store's share of an exit: at least, and where time is left."""


@dataclass(slots=True)
class Engine:
    """The running instrumentation of one process.

    Attributes:
        status_committed: takes a generation's status change once it is committed.
        status_is_seen: SQLAlchemy tells of these; else the lifecycle's function does.
        together: whether the host's spans go where ours go, and no other way.
    """

    profile: Profile
    settings: Settings
    process: Process
    tracing: Tracing
    store: RunStore
    pipeline: Pipeline
    guards: dict[str, Guard] = field(default_factory=dict[str, Guard])
    libraries: dict[str, str] = field(default_factory=dict[str, str])
    undo: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    on_end: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    on_hook_off: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    arrivals: Arrivals = field(default_factory=Arrivals)
    liveness: Liveness = field(default_factory=Liveness)
    status_committed: Callable[[StatusChange], None] = lambda _change: None
    status_is_seen: bool = False
    together: Callable[[], bool] = lambda: False
    active: bool = True

    def guard(self, name: str) -> Guard:
        """The guard of that hook, one for all its calls."""
        return self.guards.setdefault(name, Guard(name, self._hook_off))

    def _hook_off(self) -> None:
        for listener in self.on_hook_off:
            listener()

    def is_active(self) -> bool:
        """Whether the hooks are in; copies of them that are left afterwards pass through."""
        return self.active

    def replace(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Put a wrapper round ``owner.name`` until uninstrument."""
        undo = replace(owner, name, wrapper, self.is_active)
        if undo is not None:
            self.undo.append(undo)

    def add(self, owner: Any, name: str, value: Any) -> bool:
        """Give a class an attribute that it has not, until uninstrument; False where it has it."""
        if name in vars(owner):
            return False
        setattr(owner, name, value)

        def undo() -> None:
            if vars(owner).get(name) is value:
                delattr(owner, name)

        self.undo.append(undo)
        return True

    def flush(self, timeout_s: float) -> None:
        """Write out what has ended, in the end to the spool (blocking; off the event loop)."""
        self.pipeline.see_out(timeout_s)
        self.tracing.flush(timeout_s)

    def ending(self) -> None:
        """The host is shutting down and may be gone without another word."""
        for listener in self.on_end:
            listener()

    def close(self) -> None:
        """See everything out; at most the pipeline's deadline."""
        begun = time.monotonic()
        self.store.flush(_STORE_S[0])
        self.pipeline.shutdown()  # the store goes on writing meanwhile
        left_s = EXIT_DEADLINE_S - (time.monotonic() - begun)
        self.store.stop(min(max(left_s, _STORE_S[0]), _STORE_S[1]))
