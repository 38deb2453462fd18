"""The fake host, hooked once for all tests of its targets, and what its hooks need to observe."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from gentrace.runtime import context
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.guard import Guard
from gentrace.runtime.hooks.creation import Creation, creating
from gentrace.runtime.session import Session
from gentrace.runtime.tracing import below
from tests.support.fakehost import ID, Case, answer, fake_host, script
from tests.support.host import MemoryExporter

OUTSIDE = frozenset({"create", "job", "cron"})
"""Roles that open their own scope; the others work inside a job's."""
IN_A_CREATION = frozenset({"hash", "dedup", "cache", "cache_write"})


@dataclass
class FakeHost:
    """Calls the fake host's functions where their hooks observe them."""

    session: Session
    exporter: MemoryExporter

    def guard(self, case: Case) -> Guard:
        """The guard of the case's hook."""
        return self.session.engine.guard(case.target.name)

    def run(self, case: Case, work: Callable[[], Any] | None = None) -> Any:
        """`work` (the call itself unless given), awaited where it gives a coroutine.

        It runs in a fresh context, in which the generation is known and, but for the roles that
        open it themselves, a scope of its job is open.
        """

        def known() -> Any:
            tracing = self.session.engine.tracing
            outer = tracing.start("outer", None, parent=below(None))
            run = Run(str(ID), parent=outer.get_span_context(), owned=True)
            context.remember(run)
            if case.target.role not in OUTSIDE:
                context.enter(Scope("job", run, "job:process_generation"), outer)
            creation = Creation(run)
            if case.target.role in IN_A_CREATION:
                creating.set(creation)
            try:
                return _done(work or case.call)
            finally:
                for lookup in creation.lookups.values():
                    if lookup.span is not None:
                        lookup.span.end()  # the creation would
                outer.end()

        context.forget_all()
        return contextvars.copy_context().run(known)

    def run_unknown(self, case: Case) -> Any:
        """The call, where nothing is known of its generation and no scope is open."""
        context.forget_all()
        return contextvars.copy_context().run(_done, case.call)

    def spans(self) -> list[ReadableSpan]:
        """What has ended so far."""
        assert self.session.pipeline.force_flush(60_000)
        return self.exporter.spans


def _done(work: Callable[[], Any]) -> Any:
    async def awaited(given: Awaitable[Any]) -> Any:
        return await given

    given = work()
    return asyncio.run(awaited(given)) if asyncio.iscoroutine(given) else given


@pytest.fixture(scope="session")
def _fake_host(tmp_path_factory: pytest.TempPathFactory) -> Generator[FakeHost]:
    with fake_host(tmp_path_factory.mktemp("fake_host")) as (session, exporter):
        yield FakeHost(session, exporter)


@pytest.fixture
def fake(_fake_host: FakeHost) -> Generator[FakeHost]:
    """The fake host with fresh guards and no spans; its functions return :func:`answer`."""
    for guard in _fake_host.session.engine.guards.values():
        guard.failures, guard.total, guard.off = 0, 0, False
    _fake_host.spans()
    _fake_host.exporter.spans.clear()
    script.outcome, script.started, script.stay, script.work = answer(), 0, False, None
    yield _fake_host
    script.outcome = script.work = None
    context.forget_all()
