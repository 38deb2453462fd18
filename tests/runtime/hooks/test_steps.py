"""A hooked generator's span: from its first step to its end, with what is done in the steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from gentrace.core import names, profile, settings
from gentrace.runtime import context
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.guard import Call, Guard, around
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.session import Session
from gentrace.runtime.tracing import below
from gentrace.runtime.wrapping import replace
from tests.support.host import MemoryExporter

PROFILE = 'name = "shop"\npackages = ["shop_of_these_tests"]\ntargets = []\n'
Work = Callable[[str], None]


class InAJob(BaseHook):
    """A span in the open scope, as most roles make one."""

    def before(self, call: Call) -> Observed | None:
        return self.inside(names.PROVIDER_EXECUTE)


class Adapter:
    """A host's streaming calls."""

    def stream(self, work: Work, fails: bool) -> Generator[int]:
        work("first step")
        yield 1
        work("second step")
        if fails:
            raise ValueError
        yield 2

    async def stream_soon(self, work: Work, fails: bool) -> AsyncGenerator[int]:
        for step in self.stream(work, fails):
            yield step

    @asynccontextmanager
    async def session(self, work: Work, fails: bool) -> AsyncGenerator[None]:
        work("first step")
        yield
        work("second step")
        if fails:
            raise ValueError


async def gone_through(way: str, work: Work, fails: bool) -> None:
    """The consumer's side."""
    if way == "stream":
        for _ in Adapter().stream(work, fails):
            work("between")
    elif way == "stream_soon":
        async for _ in Adapter().stream_soon(work, fails):
            work("between")
    else:
        async with Adapter().session(work, fails):
            work("between")


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("way", ["stream", "stream_soon", "session"])
async def test_the_span_of_what_goes_by_steps(tmp_path: Path, way: str, fails: bool) -> None:
    given = {"GENTRACE_SPOOL": str(tmp_path / "spool"), "OTEL_BSP_SCHEDULE_DELAY": "5"}
    session = Session(profile.parse(PROFILE, "test")[0], settings.read(given))
    session.pipeline.exporter = exporter = MemoryExporter()
    session.process.role = "worker"
    tracing, guard, target = session.engine.tracing, Guard(way), None
    hook: Any = InAJob(session.engine, target, way)  # pyright: ignore[reportArgumentType]
    restore = replace(Adapter, way, around(way, hook, guard, vars(Adapter)[way]))
    assert restore is not None
    outer = tracing.start(names.PROCESS_GENERATION, None, parent=below(None))
    run = Run("7", parent=outer.get_span_context())
    scope = Scope("job", run)
    token = context.enter(scope, outer)

    def work(name: str) -> None:
        tracing.start(names.ACCOUNT_CREDITS, run, attributes={names.CALLER: name}).end()

    try:
        if fails:
            with pytest.raises(ValueError):
                await gone_through(way, work, fails)
        else:
            await gone_through(way, work, fails)
        assert not guard.total
    finally:
        context.leave(token)
        scope.close()
        outer.end()
        restore()
    assert session.pipeline.force_flush(5000)
    (whole,) = [span for span in exporter.spans if span.name == names.PROVIDER_EXECUTE]
    done = [span for span in exporter.spans if span.name == names.ACCOUNT_CREDITS]
    above = {
        str((span.attributes or {})[names.CALLER]): span.parent and span.parent.span_id
        for span in done
    }
    assert whole.context is not None
    assert above["first step"] == above["second step"] == whole.context.span_id
    assert above["between"] == outer.get_span_context().span_id
    assert whole.status.status_code is (StatusCode.ERROR if fails else StatusCode.UNSET)
    inside = [span for span in done if (span.attributes or {})[names.CALLER] != "between"]
    assert all(whole.start_time <= span.start_time for span in inside)  # pyright: ignore[reportOperatorIssue]
    assert all(span.end_time <= whole.end_time for span in inside)  # pyright: ignore[reportOperatorIssue]
    session.uninstall()
