"""Work that a generation gives to another thread goes on being the generation's work there.

OpenTelemetry's context does not go along into ``ThreadPoolExecutor.submit``, which
``loop.run_in_executor`` calls, nor into ``Thread.start``: a synchronous client in such a thread has
no spans and no ids on its log records. Outside a generation nothing is wrapped. What brings its
context itself (``asyncio.to_thread``) is left alone, and so is all of it where the host has
OpenTelemetry's instrumentation of threading. A pool's own threads are no work of a generation.
"""

from __future__ import annotations

import contextvars
import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from gentrace.runtime import ambient, context
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks.instrumentors import BY_HOST

_CONTRIB = "opentelemetry.instrumentation.threading"
_OURS = "gentrace-"


class ThreadHooks:
    """The wrappers at the places where work is given to another thread."""

    def __init__(self, engine: Engine) -> None:
        self.guard = engine.guard("threads")

    def submit(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """A pool is given a function to call."""
        token = None
        if args and context.current() is not None and not self.guard.off:
            try:
                if not _brings_its_own(args[0]) and not _done_by_host():
                    args = (_carrying(args[0]), *args[1:])
                    # it may start a thread now, which outlives this
                    token = ambient.attach(context.outside())
                self.guard.passed()
            except Exception as exc:
                self.guard.failed(exc)
        if token is None:
            return wrapped(*args, **kwargs)
        try:
            return wrapped(*args, **kwargs)
        finally:
            context.leave(token)

    def start(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """A thread is started."""
        undo = None
        if context.current() is not None and not self.guard.off:
            try:
                if not instance.name.startswith(_OURS) and not _done_by_host():
                    undo = _carry_into(instance)
                self.guard.passed()
            except Exception as exc:
                self.guard.failed(exc)
        try:
            return wrapped(*args, **kwargs)
        except BaseException:
            if undo is not None:
                undo()
            raise


def _carrying(function: Any) -> Callable[..., Any]:
    """The function, in the context of whoever gives it away."""
    given = ambient.current()

    def carried(*args: Any, **kwargs: Any) -> Any:
        token = ambient.attach(given)
        try:
            return function(*args, **kwargs)
        finally:
            context.leave(token)

    return carried


def _carry_into(thread: Any) -> Callable[[], None]:
    """Let the thread run in our context; returns what takes this back, as the run itself does."""
    attributes = vars(thread)
    own = attributes.get("run")
    carrying = _carrying(thread.run)

    def carried() -> Any:
        undo()
        return carrying()

    def undo() -> None:
        if attributes.get("run") is carried:
            if own is None:
                del attributes["run"]
            else:
                attributes["run"] = own

    attributes["run"] = carried
    return undo


def _brings_its_own(function: Any) -> bool:
    """Whether it is, or begins with, a context's ``run``."""
    while isinstance(function, functools.partial):
        function = function.func  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return isinstance(getattr(function, "__self__", None), contextvars.Context)


def _done_by_host() -> bool:
    contrib = sys.modules.get(_CONTRIB)
    instrumentor = getattr(contrib, "ThreadingInstrumentor", None)
    return instrumentor is not None and instrumentor().is_instrumented_by_opentelemetry


def install(engine: Engine, module: ModuleType) -> None:
    """Stand where threads are given work, unless the host's instrumentation stands there."""
    if _done_by_host():
        engine.libraries[module.__name__] = BY_HOST
        return
    hooks = ThreadHooks(engine)
    if module.__name__ == "threading":
        engine.replace(module.Thread, "start", hooks.start)
    else:
        engine.replace(module.ThreadPoolExecutor, "submit", hooks.submit)
