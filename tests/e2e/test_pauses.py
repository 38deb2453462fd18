"""The host's own pause before a submission: no blank in the job, but a line with its name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gentrace.analysis import gaps
from gentrace.analysis.critical import every
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.analysis.tree import build
from gentrace.core import names
from gentrace.core.spans import Event
from gentrace.sources.otlp_files import OtlpFiles
from tests.support.small_host import small_host

EVENT = "dispatch_stagger"


def events(run: Run) -> list[Event]:
    return [event for span in run.parts.spans for event in span.events if event.name == EVENT]


@pytest.fixture(scope="module")
def paused(anything_failed: Callable[[], bool]) -> list[Run]:
    """Those of some runs on one account that the host held back."""
    env = {
        "GENTRACE": "1",
        "ACCOUNT_COUNT": "1",
        "DISPATCH_STAGGER_PER_SLOT_SECONDS": "3",
        "DISPATCH_STAGGER_MAX_SECONDS": "3",
    }
    with small_host(env, failed=anything_failed) as host:
        ids = host.submit_all([{"prompt": f"lighthouse {number}"} for number in range(6)])
        host.wait_final(ids)
        host.stop()
        found = runs(OtlpFiles(host.spool).traces().traces)
    return [run for run in found if events(run)]


def test_the_pause_is_told_as_the_host_logged_it(paused: list[Run]) -> None:
    assert paused  # of six at once hardly one is not held back
    for run in paused:
        for event in events(run):
            assert event.attributes[names.PAUSE] == event.attributes["stagger_seconds"] > 0.1
            assert event.attributes["concurrent_jobs"] > 1


def test_it_stands_between_what_was_before_and_the_submission(paused: list[Run]) -> None:
    for run in paused:
        roots = build(run.parts.spans, fold=False)
        (event,) = events(run)
        (node,) = [n for n in every(roots) if n.span.name == f"pause: {EVENT}"]
        assert node.start_ns == event.at_ns
        assert node.end_ns <= run.parts.executes[0].start_ns
        of_jobs = [gap for found in gaps.find(roots).values() for gap in found]
        assert not any(gap.start_ns < node.end_ns < gap.end_ns for gap in of_jobs)
