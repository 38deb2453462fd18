"""Sampling on the running host: a run is whole or absent, and the store knows of it either way."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from gentrace.core import names
from gentrace.core.run.run import Run
from gentrace.core.run.times import State
from tests.e2e import reading, run_reading
from tests.support.otlp_receiver import Span
from tests.support.small_host import ROUTE, small_host
from tests.support.waiting import PATIENCE_S

RATIO = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
PARENT_RATIO = {**RATIO, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
OFF = {"OTEL_TRACES_SAMPLER": "always_off"}
ON = {"OTEL_TRACES_SAMPLER": "always_on"}
WHOLE = {
    names.CREATE_GENERATION,
    names.QUEUE_WAIT,
    names.PROCESS_GENERATION,
    names.PROVIDER_EXECUTE,
}
PROMPTS = ["", "", "CONC1", "BADPROMPT", "", "", "FILTER", ""]


@dataclass
class Seen:
    """What is left of some generations: their spans, and their runs' records in the store."""

    ids: list[str]
    spans: list[Span]
    records: dict[str, Run]
    flags: dict[str, str]

    def sampled(self) -> set[str]:
        """The generations that the store has as sampled."""
        return {generation_id for generation_id, flags in self.flags.items() if int(flags, 16) & 1}


@contextmanager
def some_generations(
    api: dict[str, str], worker: dict[str, str], failed: Callable[[], bool]
) -> Generator[Seen]:
    env = {"GENTRACE": "1", "AUTO_RETRY_ENABLED": "false"}
    with small_host(env, api_env=api, worker_env=worker, failed=failed) as host:
        ids = [host.submit(prompt=f"{word} number {n}") for n, word in enumerate(PROMPTS)]
        with httpx.Client(base_url=host.url, trust_env=False) as http:
            refused = http.post(ROUTE, json={"config": {}})
            assert refused.status_code == 422
        host.wait_final(ids)
        if True:

            def read() -> dict[str, Run]:
                found = run_reading.records(host)
                return {i: found[i][-1] for i in ids if i in found and found[i][-1].written}

            deadline = time.monotonic() + PATIENCE_S
            while len(records := read()) < len(ids):
                assert time.monotonic() < deadline, records
                time.sleep(0.05)
            flags = {i: f"{run.flags:02x}" for i, run in records.items()}
        for program in (host.api, *host.workers):
            program.stop()
        yield Seen(ids, reading.spooled(host.spool), records, flags)


VARIANTS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "traceidratio": (RATIO, RATIO),
    "parentbased": (PARENT_RATIO, PARENT_RATIO),
    "the API alone": (RATIO, ON),
    "always_off": (OFF, OFF),
    "the worker off": ({}, OFF),
}


@pytest.fixture(scope="module", params=VARIANTS)
def seen(request: pytest.FixtureRequest, anything_failed: Callable[[], bool]) -> Generator[Seen]:
    """What some generations left, for each way to sample."""
    with some_generations(*VARIANTS[request.param], anything_failed) as found:
        if request.param == "always_off":
            assert not found.sampled()
        if request.param == "the worker off":  # the creation has decided
            assert found.sampled() == set(found.ids)
        yield found


def test_a_run_is_whole_or_absent(seen: Seen) -> None:
    of_runs = [span for span in seen.spans if names.GENERATION_ID in span["attributes"]]
    assert {span["attributes"][names.GENERATION_ID] for span in of_runs} == seen.sampled()
    assert reading.orphans(seen.spans) == []
    for generation_id in seen.sampled():
        spans = reading.of_generation(seen.spans, generation_id)
        assert reading.names(spans) >= WHOLE
        assert len(reading.roots(spans)) == 1
        assert reading.only(spans, names.RUN)


def test_counters_and_times_do_not_depend_on_it(seen: Seen) -> None:
    for record in seen.records.values():
        times = record.times
        assert record.outcome in ("completed", "failed")
        assert record.counts[names.TRIES] >= 1
        assert record.counts[names.ATTEMPTS] >= 1
        assert record.facts[names.ACCOUNT_ID]
        assert record.incomplete == []
        assert sum(times.spent_ns.values()) == times.since_ns - times.start_ns
        assert all(times.spent_ns[state] > 0 for state in (State.API, State.QUEUE, State.WORKER))


def test_traces_of_no_run_are_whole_too(seen: Seen) -> None:
    """The request that was refused, late spans and what else belongs to no generation."""
    sampled_traces = {seen.records[i].trace for i in seen.sampled()}
    for trace_id, spans in reading.by_trace(seen.spans).items():
        if trace_id not in sampled_traces:
            assert len(reading.roots(spans)) == 1, reading.names(spans)
            assert names.PROCESS_GENERATION not in reading.names(spans)
