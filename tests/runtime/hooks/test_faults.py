"""A fault in any part of any hook: the host goes on, it is counted and said once, and ends."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace

from gentrace.runtime import context
from gentrace.runtime.guard import MAX_FAILURES
from gentrace.runtime.session import HOOKS
from gentrace.runtime.store.stream import Stream
from gentrace.runtime.store.thread import StoreThread
from tests.runtime.conftest import Swallowed
from tests.runtime.hooks.conftest import FakeHost
from tests.support.fakehost import CASES, Case, script

STEPS = ("prepare", "before", "late before", "after", "failed", "settle", "late settle")
every = pytest.mark.parametrize("case", CASES, ids=str)


class OurFault(Exception):
    """Raised in gentrace's own work."""


class HostError(Exception):
    """Raised by the host."""


def hook_class(case: Case) -> Any:
    """The class of the case's hook."""
    return HOOKS[case.target.role]


def breaking(step: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes one step of the case's hook fail; returns a list that grows with each failure.

    A late step fails when it has done its work, the others at once.
    """
    cls, name = hook_class(case), step.split()[-1]
    work: Callable[..., Any] = getattr(cls, name)
    late = step.startswith("late ")
    failed: list[str] = []

    def broken(*given: Any) -> Any:
        if late:
            work(*given)
        failed.append(step)
        raise OurFault

    async def broken_soon(*given: Any) -> Any:
        await asyncio.sleep(0)
        broken(*given)

    monkeypatch.setattr(cls, name, broken_soon if inspect.iscoroutinefunction(work) else broken)
    return failed


def called(case: Case, fake: FakeHost, times: int = 1) -> list[bool]:
    """Calls it, and finds the host's own outcome and the context as it was.

    Returns whether the hook was off after each call.
    """
    off: list[bool] = []

    async def soon() -> None:
        outside = (context.current(), trace.get_current_span())
        for _ in range(times):
            outcome: object
            try:
                given = case.call()
                outcome = await given if case.is_async else given
            except HostError as error:
                outcome = error
            assert outcome is script.outcome
            assert (context.current(), trace.get_current_span()) == outside
            off.append(fake.guard(case).off)

    fake.run(case, soon)
    return off


@every
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("raises", [False, True], ids=["returns", "raises"])
def test_the_host_goes_on(
    case: Case,
    step: str,
    raises: bool,
    fake: FakeHost,
    swallowed: Swallowed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if raises:
        script.outcome = HostError()
    failed = breaking(step, case, monkeypatch)
    called(case, fake)
    assert script.started == 1
    waits = hook_class(case).waits
    met = {"prepare": waits, "after": not raises, "failed": raises}.get(step, True)
    assert failed == [step] * met
    assert [(where, type(exc)) for where, exc in swallowed] == [
        (f"hook {case.target.name}", OurFault)
    ] * met
    guard = fake.guard(case)
    assert (guard.total, guard.off) == (int(met), False)
    assert guard.failures == int(met)


@every
@pytest.mark.parametrize("step", ["prepare", "before", "after", "late settle"])
def test_a_hook_that_keeps_failing_switches_itself_off(
    case: Case,
    step: str,
    fake: FakeHost,
    swallowed: Swallowed,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if step == "prepare" and not hook_class(case).waits:
        return  # it has none
    failed = breaking(step, case, monkeypatch)
    guard = fake.guard(case)
    off = called(case, fake, MAX_FAILURES + 3)
    assert off == [False] * (MAX_FAILURES - 1) + [True] * 4
    assert script.started == MAX_FAILURES + 3
    assert len(failed) == guard.total == len(swallowed) == MAX_FAILURES
    name = case.target.name
    # the fake host has no Redis: the store's thread says so whenever it comes to it
    said = [line for line in capsys.readouterr().err.splitlines() if "run store in" not in line]
    assert said == [
        f"gentrace: hook {name} failed with OurFault and was skipped; the host is not affected",
        f"gentrace: hook {name} failed {MAX_FAILURES} times in a row and is switched off",
    ]


@every
def test_failures_that_are_not_in_a_row_switch_nothing_off(
    case: Case, fake: FakeHost, swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with monkeypatch.context() as patch:
            breaking("after", case, patch)
            called(case, fake, MAX_FAILURES - 1)
        called(case, fake)
    assert not fake.guard(case).off
    assert fake.guard(case).failures == 0


@every
def test_a_store_that_cannot_be_written_costs_the_host_nothing(
    case: Case, fake: FakeHost, swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any) -> None:
        raise OurFault

    monkeypatch.setattr(Stream, "tell", broken)
    monkeypatch.setattr(Stream, "command", broken)
    monkeypatch.setattr(StoreThread, "ask", broken)
    called(case, fake)
    assert script.started == 1
