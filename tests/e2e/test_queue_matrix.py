"""Every producer with every worker: each job runs as without gentrace, and says what became of it.

Producers and workers on each release of ARQ, with each serializer, with gentrace on either, both
or neither side. All jobs are queued before any worker starts, as across a deploy.
"""

from __future__ import annotations

import itertools
import json
import pickle
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from arq.constants import abort_jobs_ss
from arq.utils import timestamp_ms

from gentrace.runtime.store.keys import Keys
from tests.e2e.queue_host.queue_host.serializers import SERIALIZERS, loader
from tests.e2e.queue_runs import INSTALLED, RELEASES_TRIED, Queues, Seen, Side, queues, sides, there
from tests.support.otlp_receiver import Span
from tests.support.programs import stop_together

OUTCOMES: dict[str, list[tuple[str, int]]] = {
    "kwargs": [("succeeded", 1)],
    "args": [("succeeded", 1)],
    "failing": [("failed", 1)],
    "retry": [("retry", 1), ("succeeded", 2)],
    "run again": [("retry", 1), ("succeeded", 2)],
    "aborted": [("aborted", 1)],
    "aborted early": [("aborted", 1)],
    "deferred": [("succeeded", 1)],
    "expired": [("expired", 1)],
    "corrupt": [("corrupt", 1)],
    "hostile": [("succeeded", 1)],
    "tried too often": [("max_tries", 9)],
    "by path": [("succeeded", 1)],
    "timeout": [("timeout", 1)],
    "max tries": [("retry", 1), ("retry", 2), ("max_tries", 3)],
    "not found": [("not_found", 1)],
    "plain": [],
}
"""Outcome and try of each span of such a job."""
LOST = {"expired", "corrupt"}
NEVER_RUN = {*LOST, "aborted early", "tried too often", "not found"}
TWICE = {"retry", "run again", "max tries"}
NO_ERROR = {"succeeded", "retry", "aborted"}
FUNCTIONS = {
    "failing": "queue_host.jobs:process_generation",  # where it failed
    "by path": "by_path",
    "timeout": "time_out",
    "max tries": "give_up",
    "not found": "vanished",
}
STRICT = {"strict", "strict reader"}
ASIDE = "gentrace: the trace context of a job is corrupt or too large and is left aside"


@dataclass(frozen=True)
class Matrix:
    """What all producers and workers made of each other's jobs."""

    seen: dict[str, Seen]
    spans: dict[str, list[Span]]
    said: dict[str, list[str]]
    left: list[str]
    ticks: int


def job_id(serializer: str, producer: Side, worker: Side, kind: str) -> str:
    return f"{serializer}/{producer.name}/{worker.name}/{kind}"


def meddle(found: Queues, of: list[Side]) -> None:
    """Loses, breaks and aborts the jobs whose kind says so, before a worker sees them."""
    with found.redis as client, client.pipeline(transaction=False) as pipe:
        for serializer, producer, worker in itertools.product(SERIALIZERS, of, of):
            ids = {kind: job_id(serializer, producer, worker, kind) for kind in OUTCOMES}
            pipe.zadd(abort_jobs_ss, {ids["aborted early"]: timestamp_ms()})
            pipe.delete(f"arq:job:{ids['expired']}")
            pipe.set(f"arq:job:{ids['corrupt']}", b"\x80\x04garbage")
            if serializer not in STRICT:
                dump = SERIALIZERS[serializer][0] or pickle.dumps
                payload: Any = client.get(f"arq:job:{ids['hostile']}")
                job = {**loader(serializer)(payload), "gentrace": {"traceparent": "x" * 1_000_000}}
                pipe.set(f"arq:job:{ids['hostile']}", dump(job))
        pipe.execute()


def run_matrix(found: Queues, releases: list[str]) -> Matrix:
    """Runs every producer, then every worker until its queues are empty."""
    of = sides(releases)
    names = [side.name for side in of]
    kinds = ",".join(OUTCOMES)
    found.run_all(partial(found.run, "produce", s, s.name, *names, KINDS=kinds) for s in of)
    meddle(found, of)
    found.run_all(partial(found.run, "work", side) for side in of)
    seen: dict[str, Seen] = {}
    for serializer, producer, worker, kind in itertools.product(SERIALIZERS, of, of, OUTCOMES):
        each = job_id(serializer, producer, worker, kind)
        seen[each] = found.seen(each, loader(serializer))
    spans: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(found.spans(), key=lambda span: span["start_ns"]):
        spans[span["attributes"]["generation.id"]].append(span)
    with found.redis as client:
        left = sorted(key.decode() for key in client.scan_iter("*") if b":result:" not in key)
        return Matrix(seen, spans, found.said, left, int(client.get("ticks") or 0))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def matrix(anything_failed: Callable[[], bool]) -> Generator[Matrix]:
    """All that can be run here, once for all tests."""
    with queues(anything_failed) as found:
        yield run_matrix(found, there())


def needing(release: str) -> list[pytest.MarkDecorator]:
    """Another release than the installed one is a service of its own."""
    return [pytest.mark.service("redis")] + [pytest.mark.service("arq")] * (release != INSTALLED)


PAIRS = [
    pytest.param(producer, worker, marks=needing(producer) + needing(worker))
    for producer, worker in itertools.product(RELEASES_TRIED, repeat=2)
]
pairs = pytest.mark.parametrize(("producer", "worker"), PAIRS)
both = list(itertools.product((False, True), repeat=2))


@pairs
def test_every_job_runs_as_without_gentrace(matrix: Matrix, producer: str, worker: str) -> None:
    for serializer, kind in itertools.product(SERIALIZERS, OUTCOMES):
        expected = told(matrix, serializer, Side(producer, False), Side(worker, False), kind)
        assert len(expected["tries"]) == (0 if kind in NEVER_RUN else 1 + (kind in TWICE))
        became = OUTCOMES[kind][-1][0] if OUTCOMES[kind] else "succeeded"
        assert expected["result"]["s"] == (became == "succeeded")
        for traced in both[1:]:
            ends = Side(producer, traced[0]), Side(worker, traced[1])
            assert told(matrix, serializer, *ends, kind) == expected


def told(matrix: Matrix, serializer: str, producer: Side, worker: Side, kind: str) -> Any:
    """What the host saw of a job, but for its name, its times and its baggage."""
    each = job_id(serializer, producer, worker, kind)
    seen = matrix.seen[each]
    assert seen.result is not None, each
    result = {key: seen.result[key] for key in ("t", "f", "a", "k", "s", "r")}
    text = json.dumps(
        {
            "tries": [attempt[:4] for attempt in seen.tries],
            "result": {**result, "r": repr(result["r"])},
        },
        default=repr,
    )
    return json.loads(text.replace(each, "<the job>"))


@pairs
def test_every_try_says_what_became_of_it(matrix: Matrix, producer: str, worker: str) -> None:
    for serializer, kind, traced in itertools.product(SERIALIZERS, OUTCOMES, both):
        each = job_id(serializer, Side(producer, traced[0]), Side(worker, traced[1]), kind)
        tries = [span for span in matrix.spans[each] if span["kind"] == "CONSUMER"]
        expected = OUTCOMES[kind] if traced[1] and (traced[0] or kind not in LOST) else []
        attributes = [span["attributes"] for span in tries]
        outcomes = [(a["generation.job.outcome"], a["generation.job.try"]) for a in attributes]
        assert outcomes == expected, each
        for span, (outcome, _) in zip(tries, expected, strict=True):
            assert span["status"]["code"] == ("UNSET" if outcome in NO_ERROR else "ERROR"), each
            # one name for a generation's own jobs, whatever the host calls them
            assert span["name"] == "process_generation"
            assert span["attributes"].get("code.function.name") == FUNCTIONS.get(kind)
            assert span["attributes"]["messaging.message.id"] == each


@pairs
def test_both_sides_are_one_trace(matrix: Matrix, producer: str, worker: str) -> None:
    for serializer, kind, traced in itertools.product(SERIALIZERS, OUTCOMES, both):
        each = job_id(serializer, Side(producer, traced[0]), Side(worker, traced[1]), kind)
        spans = matrix.spans[each]
        enqueued = [span for span in spans if span["kind"] == "PRODUCER"]
        assert len(enqueued) == (traced[0] and kind != "plain"), each
        tries = [span for span in spans if span["kind"] == "CONSUMER"]
        assert len({span["trace_id"] for span in spans}) <= 1, each
        parents = {span["parent_span_id"] for span in tries}
        adopted = ["adopted" in s["attributes"].get("gentrace.incomplete", ()) for s in tries]
        if enqueued and tries:
            of_earlier = {span["span_id"] for span in tries} if serializer in STRICT else set()
            assert enqueued[0]["span_id"] in parents <= {enqueued[0]["span_id"], *of_earlier}, each
            assert not any(adopted), each
        elif tries:
            assert "" in parents, each
            assert all(adopted), each


@pairs
def test_the_hosts_baggage_is_in_the_job(matrix: Matrix, producer: str, worker: str) -> None:
    for serializer, kind, traced in itertools.product(SERIALIZERS, OUTCOMES, both):
        each = job_id(serializer, Side(producer, traced[0]), Side(worker, traced[1]), kind)
        travels = all(traced) and serializer not in STRICT and kind not in ("plain", "hostile")
        expected = {"tenant": "blue light"} if travels else {}
        assert [attempt[4] for attempt in matrix.seen[each].tries] == (
            [expected] * len(matrix.seen[each].tries)
        ), each


def test_nothing_is_said_but_once(matrix: Matrix) -> None:
    for side in sides(there()):
        assert matrix.said[f"produce {side.name}"] == []
        said = matrix.said[f"work {side.name}"]
        assert len(said) == 2 * side.traced, said
        if side.traced:
            assert "tracing as queues-worker" in said[0]
            assert said[1].startswith(ASIDE)


def test_crons_run_and_are_silent(matrix: Matrix) -> None:
    assert matrix.ticks == len(sides(there()))
    names = Counter(span["name"] for spans in matrix.spans.values() for span in spans)
    assert not [name for name in names if "tick" in name or "plain" in name]


def test_nothing_is_left_of_a_job_that_is_over(matrix: Matrix) -> None:
    left = [key for key in matrix.left if key.startswith("arq:")]
    assert len(left) == matrix.ticks  # ARQ keeps a mark of each cron for a minute
    assert {key.rpartition(":")[0] for key in left} == {"arq:in-progress"}
    of = sides(there())
    seen = [
        job_id(serializer, producer, worker, kind)
        for serializer, producer, worker, kind in itertools.product(SERIALIZERS, of, of, OUTCOMES)
        if worker.traced  # without gentrace they go when their time is over
    ]
    assert not {Keys("queues").job(each) for each in seen} & set(matrix.left)


DEPLOYS = [
    pytest.param(
        Side(first, before),
        Side(then, after),
        marks=needing(first) + needing(then),
        id=f"{first}-{before}-to-{then}-{after}",
    )
    for first, then in (("0.25.0", "0.28.0"), ("0.28.0", "0.25.0"), (INSTALLED, INSTALLED))
    for before, after in ((True, False), (False, True), (True, True))
]


@pytest.mark.parametrize(("before", "after"), DEPLOYS)
def test_a_deploy_while_the_job_is_at_work(
    before: Side, after: Side, anything_failed: Callable[[], bool]
) -> None:
    producer, queue, kind = Side(before.release, True), "deploy", "shut down"
    each = f"pickle/api/{queue}/{kind}"
    with queues(anything_failed) as found, found.redis as client:
        found.run("produce", producer, "api", queue, KINDS=kind)
        old = found.worker(before, queue)
        try:
            old.wait_until(lambda: bool(client.llen("begun")), "has begun")
        finally:
            stop_together([old])
        client.delete(f"arq:in-progress:{each}")  # ARQ may leave it behind when it is stopped
        new = found.worker(after, queue)
        try:
            new.wait_until(lambda: bool(client.exists(f"arq:result:{each}")), "is done")
        finally:
            stop_together([new])
        seen = found.seen(each, loader("pickle"))
        spans = [span for span in found.spans() if span["attributes"]["generation.id"] == each]
    assert [attempt[2] for attempt in seen.tries] == [1, 2]
    assert seen.result is not None
    assert seen.result["r"]["status"] == "submitted"
    expected = [("interrupted", 1)] * before.traced + [("succeeded", 2)] * after.traced
    tries = [span for span in spans if span["kind"] == "CONSUMER"]
    attributes = [span["attributes"] for span in sorted(tries, key=lambda span: span["start_ns"])]
    assert [(a["generation.job.outcome"], a["generation.job.try"]) for a in attributes] == expected
    assert len({span["trace_id"] for span in spans}) == 1


@pytest.mark.service("redis")
@pytest.mark.parametrize(
    ("propagators", "fields"),
    [
        ("none", {"traceparent"}),
        ("tracecontext", {"traceparent"}),
        ("baggage", {"traceparent", "baggage"}),
        ("no-such-propagator", None),
    ],
)
def test_the_environment_names_the_propagators(
    propagators: str, fields: set[str] | None, anything_failed: Callable[[], bool]
) -> None:
    side = Side(INSTALLED, True)
    each = job_id("pickle", side, side, "kwargs")
    chosen = {"OTEL_PROPAGATORS": propagators, "KINDS": "kwargs"}
    with queues(anything_failed) as found, found.redis as client:
        found.run("produce", side, side.name, side.name, **chosen)
        payload: Any = client.get(f"arq:job:{each}")
        for key in client.scan_iter("gentrace:*"):  # the job alone leads to its trace
            client.delete(key)
        found.run("work", side, **chosen)
        seen = found.seen(each, loader("pickle"))
        spans = [span for span in found.spans() if span["attributes"]["generation.id"] == each]
    carried: dict[str, str] | None = pickle.loads(payload).get("gentrace")
    assert (carried.keys() if carried is not None else None) == fields
    assert seen.result is not None
    assert seen.result["s"]
    with_baggage = fields is not None and "baggage" in fields
    expected = {"tenant": "blue light"} if with_baggage else {}
    assert [attempt[4] for attempt in seen.tries] == [expected]
    assert len({span["trace_id"] for span in spans}) == (fields is not None)
    assert len(spans) == (0 if fields is None else 3)
