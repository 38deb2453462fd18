"""A worker that is slow is found; what a long or repeated run crosses is no cause of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from gentrace.analysis.compare.slow import slow
from gentrace.analysis.compare.table import Table, table
from gentrace.core import names
from tests.analysis.compare.test_unfinished import run
from tests.support import outside


def service(slow_ones: Callable[[int], bool], others: Mapping[bool, Mapping[str, str]]) -> Table:
    """Runs, some of them twice as long; what either sort carries beside its account."""
    draw = random.Random(3)
    rows = [
        run(
            k, (2 if slow_ones(k) else 1) * 20 * draw.lognormvariate(0, 0.3), str(draw.randrange(4))
        )
        for k in range(400)
    ]
    return table(
        replace(row, attributes={**row.attributes, **others[slow_ones(k)]})
        for k, row in enumerate(rows)
    )


def test_a_slow_worker_is_a_finding() -> None:
    crossed = {True: {names.PROCESSES: "api,w-slow"}, False: {names.PROCESSES: "api,w-1"}}
    answer = slow(service(lambda k: k % 10 == 0, crossed))
    first = answer.findings[0]
    assert (first.name, first.value, first.n) == (names.PROCESSES, "w-slow", 40)
    assert 10 < first.effect < 30
    assert not answer.symptoms


def test_processes_that_long_and_repeated_runs_cross_are_none() -> None:
    for seed in range(300, 306):
        made, draw = outside.world(seed), random.Random(seed)
        for each in made.runs:
            crossed = [each.text[names.PROCESSES]]
            if draw.random() < 0.08:
                each.text |= {names.TRIES: "2", names.ATTEMPTS: "2"}
                each.add("retry_wait", 60.0)
                crossed.append(draw.choice(["w-8", "w-9"]))
            if draw.random() < each.total_s / 300:
                crossed.append("poller")
            each.text[names.PROCESSES] = ",".join(crossed)
        answer = slow(table(outside.rows(made)))
        assert list(answer.findings) == [], seed
        assert answer.symptoms


def test_a_process_of_the_slow_version_is_not_named_beside_it() -> None:
    carried = {
        True: {names.CODE_VERSION: "r2", names.PROCESSES: "w-b"},
        False: {names.CODE_VERSION: "r1", names.PROCESSES: "w-a"},
    }
    answer = slow(service(lambda k: k >= 340, carried))
    assert [(each.name, each.value) for each in answer.findings] == [(names.CODE_VERSION, "r2")]
