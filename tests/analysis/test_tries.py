"""A run's tries: how each ended, which went alike, and how a tree of them stays short."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gentrace.analysis import folding
from gentrace.analysis.critical import every
from gentrace.analysis.grouping import runs
from gentrace.analysis.tree import Node, build
from gentrace.analysis.tries import Try, tries
from gentrace.core import names
from gentrace.core.spans import Span
from gentrace.core.spans import traces as grouped
from tests.core import traces
from tests.core.traces import Tracer
from tests.report import retried


def of(made: Tracer) -> list[Try]:
    (run,) = runs(grouped(made.spans))
    return tries(run.parts)


def folded(made: Tracer) -> tuple[list[Node], list[folding.Repeats]]:
    roots = folding.beside(build(made.spans))
    return roots, [*folding.repeated(roots, of(made)).values()]


def test_a_run_of_one_try_has_one() -> None:
    (one,) = of(traces.completed())
    assert (one.number, one.status, one.error, one.like) == (1, "submitted", None, 0)
    assert [attempt.number for attempt in one.attempts] == [1]


def test_tries_of_arq_are_told_by_their_error() -> None:
    found = of(retried.by_arq(4))
    assert [(one.number, one.outcome) for one in found] == [
        (1, "retry"), (2, "retry"), (3, "retry"), (4, "failed"),
    ]  # fmt: skip
    error = found[0].error
    assert error is not None
    assert (error.code, error.type) == ("502", "x.PixverseAPIError")
    assert [one.like for one in found] == [0, 1, 1, 0]  # numbers in the message do not count


def test_requeued_tries_go_alike_though_others_lie_between() -> None:
    found = of(retried.by_requeues())
    assert [one.like for one in found] == [0, 0, 1, 2, 1, 2, 0]
    assert found[1].reason == "account_capacity_wait"
    assert [len(one.attempts) for one in found] == [1, 0, 1, 0, 1, 0, 1]
    assert found[-1].attempts[0].status == "completed"


def test_attempts_within_one_try_are_told_apart() -> None:
    (one,) = of(retried.by_attempts())
    assert [(a.number, a.like, a.error is not None) for a in one.attempts] == [
        (1, 0, True), (2, 1, True), (3, 1, True), (4, 0, False),
    ]  # fmt: skip
    assert one.error is None  # what was retried and then went well is no error of the try


@pytest.mark.parametrize("change", ["slower", "other reason", "other error", "open"])
def test_what_differs_is_not_alike(change: str) -> None:
    made = retried.by_requeues(2)
    jobs = [s for s in made.spans if s.name == names.PROCESS_GENERATION]
    third = jobs[2]
    changed = {
        "slower": replace(third, end_ns=third.start_ns + 5 * 10**9),
        "other reason": replace(
            third, attributes={**third.attributes, names.JOB_REASON: "another"}
        ),
        "other error": third,
        "open": replace(third, end_ns=0),
    }[change]
    made.spans = [changed if span is third else span for span in made.spans]
    if change == "other error":
        below = {s.span_id for s in made.spans if s.parent_id == third.span_id}
        made.spans = [
            replace(s, status_message="HTTP 401") if s.parent_id in below and s.failed else s
            for s in made.spans
        ]
    assert of(made)[2].like == 0


def test_a_try_that_does_nothing_is_none_and_one_that_arq_refused_is() -> None:
    made, enqueue = retried.begun("refused")
    retried.job(made, 100, 200, enqueue, outcome="failed", error="E")
    retried.job(made, 300, 310, enqueue, outcome="succeeded", status="skipped")
    retried.job(made, 400, 401, enqueue, outcome="max_tries")
    assert [(one.number, one.outcome) for one in of(made)] == [(1, "failed"), (2, "max_tries")]


@pytest.mark.parametrize("many", [5, 40])
def test_a_tree_of_many_tries_is_as_deep_and_long_as_one_of_few(many: int) -> None:
    few, _ = folded(retried.by_requeues(2))
    more, (repeats, *others) = folded(retried.by_requeues(many))
    assert others == []
    assert _depth(more) == _depth(few)
    assert len(_names(more)) == len(_names(few))
    assert len(repeats.told) == 2 * (many - 1)
    assert repeats.like == [1, 2]


def test_a_retry_by_the_api_stands_beside_the_try_too() -> None:
    made, enqueue = retried.begun("api")
    first = retried.job(made, 100, 200, enqueue, outcome="succeeded", status="submitted")
    again = made.span("enqueue process_generation", 300, 304, enqueue, kind="PRODUCER")
    second = retried.job(made, 400, 500, again, outcome="succeeded", status="submitted")
    (top,) = folding.beside(build(made.spans))
    above = next(node for node in every([top]) if node.span is enqueue)
    beside = [node.span.span_id for node in above.children]
    assert beside == [first.span_id, again.span_id, second.span_id]


def test_the_last_try_is_shown_whatever_it_is_like() -> None:
    made = retried.by_arq(3)
    made.spans = [
        replace(s, attributes={**s.attributes, names.JOB_OUTCOME: "retry"})
        if s.name == names.PROCESS_GENERATION else s
        for s in made.spans
    ]  # fmt: skip
    assert [one.like for one in of(made)] == [0, 1, 1]
    roots, (repeats,) = folded(made)
    assert [one.number for one in repeats.told] == [2]
    assert names.FINISH in _names(roots)


def test_nothing_is_lost_of_a_tree_whose_tries_differ() -> None:
    made = traces.completed()
    before = sorted(_names(build(made.spans)))
    roots, repeats = folded(made)
    assert (sorted(_names(roots)), repeats) == (before, [])


def test_the_last_log_event_before_a_failure_is_kept() -> None:
    made = retried.by_requeues(1)
    kept = _kept(made)
    assert kept == ["provider_execute_failed", "pipeline:start"]  # of the 502; of no account


def test_a_status_of_failure_keeps_what_was_logged_before_it() -> None:
    t, enqueue = retried.begun("poll")
    poll = t.span("provider.poll", 100, 200, enqueue, events=[("a", 110, {}), ("b", 120, {})])
    t.span("generation.finish", 130, 150, poll, generation__outcome="failed")
    assert _kept(t) == ["b"]


def test_parents_in_a_circle_are_no_trouble() -> None:
    t = Tracer("circle", "1")
    one = t.span("process_generation", 0, 10, "2" * 16, kind="CONSUMER", error="E")
    two = replace(one, span_id="2" * 16, parent_id=one.span_id)
    t.spans = [one, two]
    assert len(_names(folding.beside(build(t.spans)))) == 2
    assert folding.logs_kept(t.spans) == set()


def _kept(made: Tracer) -> list[str]:
    spans: dict[str, Span] = {span.span_id: span for span in made.spans}
    kept = sorted(folding.logs_kept(made.spans), key=lambda one: spans[one[0]].start_ns)
    return sorted((spans[span_id].events[place].name for span_id, place in kept), reverse=True)


def _names(roots: list[Node]) -> list[str]:
    return [node.span.name for node in every(roots)]


def _depth(roots: list[Node]) -> int:
    return 1 + max((_depth(node.children) for node in roots), default=0)
