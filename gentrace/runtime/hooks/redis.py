"""What a lookup really met in Redis, since the host swallows its errors.

redis-py's ``Redis.execute_command`` and ``Pipeline.execute`` are watched while a lookup runs (a
context variable is set) and pass straight through at any other time.

Observed on: redis-py 4.5, 5.0, 5.3 and 6 (``redis.asyncio.client``).
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from gentrace.runtime.engine import Engine


@dataclass(eq=False, slots=True)
class Probe:
    """What was asked and answered inside one lookup."""

    asked: int = 0
    answered: bool = False
    error: BaseException | None = None

    def clean_miss(self) -> bool:
        """Redis was asked, nothing failed, and it had nothing: a true miss."""
        return self.asked > 0 and self.error is None and not self.answered


probe: ContextVar[Probe | None] = ContextVar("gentrace.probe", default=None)
# Answers of these are no finding: bookkeeping that the host does beside a lookup.
_READS = frozenset({"GET", "HGET", "HGETALL", "MGET", "GETEX", "SMEMBERS", "ZRANGE"})


async def _watched(seen: Probe, wrapped: Any, args: Any, kwargs: Any) -> Any:
    seen.asked += 1
    try:
        result = await wrapped(*args, **kwargs)
    except BaseException as exc:
        seen.error = exc
        raise
    if result and args and str(args[0]).upper() in _READS:
        seen.answered = True
    return result


def _wrapper(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    seen = probe.get()
    if seen is None:
        return wrapped(*args, **kwargs)
    return _watched(seen, wrapped, args, kwargs)


def install(engine: Engine, module: ModuleType) -> None:
    """Watch the asynchronous clients of redis-py."""
    for owner, name in ((module.Redis, "execute_command"), (module.Pipeline, "execute")):
        engine.replace(owner, name, _wrapper)
