"""The process's record: written when its role is known, when a hook gives up and at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from gentrace.runtime import notices
from gentrace.runtime.engine import Engine
from gentrace.runtime.export.scrubbing import clean_record
from gentrace.runtime.patching import Patcher

EVERY_S = 5.0


class Recorder:
    """Writes the record to the spool, by way of the pipeline's thread; nothing before the role.

    Args:
        more: gives what else the record tells.
    """

    def __init__(
        self, engine: Engine, patcher: Patcher, more: Callable[[], dict[str, Any]]
    ) -> None:
        self.engine, self.patcher, self._more = engine, patcher, more
        self.left: list[str] | None = None
        self._lock = threading.Lock()
        self._later: threading.Timer | None = None
        self._written = float("-inf")

    def write(self, *, ended: bool = False) -> None:
        """Put the record as it is now into the spool."""
        if not self.engine.process.role:
            return
        with self._lock:
            self._cancel()
            self._written = time.monotonic()
        self.engine.pipeline.write_record(self._record(ended))

    def _record(self, ended: bool) -> dict[str, Any]:
        engine = self.engine
        record = engine.process.record(self.patcher.report(), ended)
        record["libraries"] = dict(engine.libraries)
        record["hooks_off"] = [g.name for g in list(engine.guards.values()) if g.gave_up]
        record["spans_lost"] = engine.pipeline.lost
        record.update(self._more())
        if self.left is not None:
            record["copies_left"] = self.left
        return clean_record(record, engine.tracing.scrubber)

    def hook_off(self) -> None:
        """A hook gave up: say so, at most every :data:`EVERY_S`. Never raises."""
        try:
            with self._lock:
                wait_s = self._written + EVERY_S - time.monotonic()
                if not self.engine.process.role or self._later is not None:
                    return  # it is in the record that comes anyway
                if wait_s > 0:
                    self._later = threading.Timer(wait_s, self._write_late)
                    self._later.name, self._later.daemon = "gentrace-record", True
                    self._later.start()
                    return
            self.write()
        except Exception as exc:
            notices.swallowed("record", exc)

    def _write_late(self) -> None:
        self._later = None
        try:
            self.write()
        except Exception as exc:
            notices.swallowed("record", exc)

    def _cancel(self) -> None:
        later, self._later = self._later, None
        if later is not None:
            later.cancel()

    def close(self) -> None:
        """Nothing is written later any more."""
        with self._lock:
            self._cancel()

    def after_fork(self) -> None:
        """In a forked child: no thread of the parent's, and a record of its own to come."""
        self._lock, self._later, self._written = threading.Lock(), None, float("-inf")
