"""What each target's hook records of a call that succeeds and of one that fails."""

from __future__ import annotations

from typing import Any

import pytest

from gentrace.core import names
from tests.runtime.hooks.conftest import FakeHost
from tests.support.fakehost import CASES, ID, Case, script
from tests.support.host import attributes

SPANS: dict[str, tuple[str, dict[str, Any]]] = {
    "create_generation": (names.CREATE_GENERATION, {names.GENERATION_RUN: 1, names.MODEL: "v5"}),
    "compute_hash": (names.HASH, {}),
    "find_by_hash": (names.DEDUP, {}),
    "get_cached_generation": (names.CACHE, {}),
    "arq_enqueue_job": ("enqueue process_generation", {names.ENQUEUE_OUTCOME: "enqueued"}),
    "enqueue_fresh_job": ("enqueue process_generation", {names.ENQUEUE_OUTCOME: "enqueued"}),
    "enqueue_retry_job": ("enqueue process_generation", {names.ENQUEUE_OUTCOME: "enqueued"}),
    "enqueue_immediate_poll": ("enqueue poll_generation_once", {}),
    "process_generation": ("process_generation", {names.JOB_STATUS: "completed"}),
    "poll_generation_once": ("poll_generation_once", {names.JOB_STATUS: "completed"}),
    "refresh_account_credits": (names.ACCOUNT_CREDITS, {names.ACCOUNT_ID: "3"}),
    "has_sufficient_credits": (names.ACCOUNT_CREDITS, {}),
    "execute_generation": (
        names.PROVIDER_EXECUTE,
        {names.PROVIDER_JOB_ID: "j1", names.ATTEMPT: 1, names.ACCOUNT_ID: "3"},
    ),
    "check_status": (names.PROVIDER_POLL, {names.PROVIDER_STATUS: "completed"}),
    "update_status": (names.FINISH, {names.OUTCOME: "completed"}),
    **{
        name: (names.ACCOUNT_SELECT, {names.ACCOUNT_ID: str(ID), names.ACCOUNT_CALL: name})
        for name in (
            "select_and_reserve_account",
            "select_account",
            "reserve_account",
            "reserve_account_if_available",
        )
    },
}
"""Targets with a span of their own: its name, and attributes that it has."""

EVENTS = {
    "release_account": names.EVENT_ACCOUNT_RELEASED,
    **dict.fromkeys(
        ("store_hash", "cache_generation", "invalidate_cache", "compute_cache_key"),
        names.EVENT_CACHE,
    ),
}
"""Targets that leave an event on the span at work."""

SILENT = {
    "poll_single_generation",
    "poll_job_statuses",
    "requeue_pending_generations",
    "recover_stale_processing_generations",
    "reconcile_account_counters",
}
"""Targets that record nothing while nothing happens."""

cases = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_target_has_its_row() -> None:
    adapters = {case.target.name for case in CASES if case.target.role == "adapter"}
    others = {case.target.name for case in CASES} - adapters
    assert SPANS.keys() | EVENTS.keys() | SILENT == others


def expected(case: Case) -> str | None:
    """The name of the case's span, None where it has none."""
    if case.target.role == "adapter":
        return f"{case.target.provider}.{case.name}"
    return SPANS[case.target.name][0] if case.target.name in SPANS else None


@cases
def test_a_call_that_succeeds(case: Case, fake: FakeHost) -> None:
    fake.run(case)
    (outer,) = (span for span in fake.spans() if span.name == "outer")
    made = [span for span in fake.spans() if span is not outer]
    name = expected(case)
    if name is None:
        assert made == []
        event = EVENTS.get(case.target.name)
        assert [event.name for event in outer.events] == ([event] if event else [])
        return
    (span,) = made
    assert span.name == name
    assert span.status.is_unset
    for key, value in SPANS.get(case.target.name, ("", {}))[1].items():
        assert attributes(span)[key] == value
    if case.target.role != "create":
        assert attributes(span)[names.GENERATION_ID] == str(ID)
        assert span.parent is not None
        assert outer.context is not None
        assert span.parent.span_id == outer.context.span_id


@cases
def test_a_call_that_fails(case: Case, fake: FakeHost) -> None:
    script.outcome = LookupError("bob@example.com was not found")
    with pytest.raises(LookupError):
        fake.run(case)
    made = [span for span in fake.spans() if span.name != "outer"]
    if case.target.role in ("cache_write", "account_release", "cron"):
        assert made == []
        return
    (span,) = made
    assert span.name == (names.PROVIDER_POLL if case.target.role == "poll" else expected(case))
    assert not span.status.is_ok
    assert attributes(span)["error.type"] == "LookupError"
    told = span.status.description or ""
    assert told.startswith("<message:29:")
    assert "bob" not in told


@cases
def test_outside_any_scope_and_of_an_unknown_generation(case: Case, fake: FakeHost) -> None:
    assert fake.run_unknown(case) is script.outcome
    made = [span.name for span in fake.spans()]
    known = {"create": ["create_generation"], "job": [expected(case)]}
    assert made == known.get(case.target.role, [])
