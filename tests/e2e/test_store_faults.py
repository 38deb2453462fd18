"""The run store's Redis is gone, slow, full, read-only or none: generations are unharmed.

A Redis of its own: a fault of ARQ's own would stop the host itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from tests.e2e import reading
from tests.e2e.faults import WHOLE, in_time, one_line_each, run_and_stop, said
from tests.support.delaying import delaying
from tests.support.otlp_receiver import Span
from tests.support.small_host import SmallHost, small_host
from tools import servers

PAUSE_MS = 600_000


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts API and worker."""
    env = {"STANDIN_SLOW_RENDER_S": "2"}
    with small_host(env, api=False, workers=0, failed=anything_failed) as running:
        yield running


@pytest.fixture(scope="module")
def without(host: SmallHost) -> list[float]:
    """The seconds that API and worker take to end without gentrace."""
    return run_and_stop(host, {})[0]


NO_ANSWER = "the run store in Redis does not answer"
FULL = "Redis is more than 80 % full"
OTHER_TYPE = "run store failed with ResponseError"
COMMANDS = {
    "never answers": (NO_ANSWER, ("CLIENT", "PAUSE", str(PAUSE_MS), "ALL")),
    "is full": (FULL, ("CONFIG", "SET", "maxmemory", "1")),
    "is read-only": (NO_ANSWER, ("REPLICAOF", "127.0.0.1", "1")),
    "wants a password": (NO_ANSWER, ("CONFIG", "SET", "requirepass", "secret")),
    "has another type of key": (OTHER_TYPE, ("SET", "gentrace:pixsim7:due", "no set")),
}


@pytest.mark.parametrize("fault", COMMANDS)
def test_a_store_that(
    fault: str,
    host: SmallHost,
    without: list[float],
    tmp_path: Path,
    anything_failed: Callable[[], bool],
) -> None:
    spool = tmp_path / "spool"
    with servers.redis(anything_failed) as store:
        with Redis.from_url(store.url) as client:  # pyright: ignore[reportUnknownMemberType]
            client.execute_command(*COMMANDS[fault][1])
        env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_REDIS_URL": store.url}
        took, programs, generation_id = run_and_stop(host, env)
    in_time(took, without)
    for line in one_line_each(programs):
        assert COMMANDS[fault][0] in line
        assert "secret" not in line
    joined(spool, generation_id)
    if fault != "has another type of key":  # all but the end was told
        says_so(spool, generation_id)


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:1", "redis://127.0.0.1:1/none"])
def test_a_store_that_is_none(
    url: str, host: SmallHost, without: list[float], tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_REDIS_URL": url}
    took, programs, generation_id = run_and_stop(host, env)
    in_time(took, without)
    for line in one_line_each(programs):
        assert NO_ANSWER in line
    joined(spool, generation_id)


def says_so(spool: Path, generation_id: str) -> None:
    """What is missing is said where the generation was worked on."""
    spans = reading.of_generation(reading.spooled(spool), generation_id)
    told = reading.only(spans, "process_generation")["attributes"]
    assert "store" in told["gentrace.incomplete"]


def ends(spool: Path, ids: Sequence[str]) -> dict[str, Span]:
    """The run spans in a spool."""
    spans = [span for span in reading.spooled(spool) if span["name"] == "generation"]
    return {i: s for s in spans if (i := str(s["attributes"]["generation.id"])) in ids}


def joined(spool: Path, generation_id: str) -> None:
    """The carrier alone still joins API and worker; polls may be missing."""
    spans = reading.of_generation(reading.spooled(spool), generation_id)
    assert {"create_generation", "process_generation", "provider.execute"} <= reading.names(spans)
    assert reading.services(spans) == {"pixsim7-api", "pixsim7-worker"}
    assert len(reading.roots(spans)) == 1


def test_a_store_that_goes_away_meanwhile(
    host: SmallHost, tmp_path: Path, anything_failed: Callable[[], bool]
) -> None:
    spool = tmp_path / "spool"
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)}
    with ExitStack() as stack:
        store = stack.enter_context(servers.redis(anything_failed))
        with host.running({**env, "GENTRACE_REDIS_URL": store.url}) as programs:
            ids = [host.submit("before SLOWRENDER")]
            host.wait_status(ids[0], "processing")
            stack.close()
            ids += [host.submit("after"), host.submit("after FILTER1")]
            assert [g["status"] for g in host.wait_final(ids)] == ["completed"] * 3
    for line in one_line_each(programs):
        assert NO_ANSWER in line
    for generation_id in ids:
        joined(spool, generation_id)


def test_a_store_that_is_slow_for_a_while(
    host: SmallHost, tmp_path: Path, anything_failed: Callable[[], bool]
) -> None:
    """Five seconds: what comes after is whole again."""
    spool = tmp_path / "spool"
    with servers.redis(anything_failed) as store:
        env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_REDIS_URL": store.url}
        with host.running(env) as programs:
            with Redis.from_url(store.url) as client:  # pyright: ignore[reportUnknownMemberType]
                client.execute_command("CLIENT", "PAUSE", "5000", "ALL")
            during = str(host.run()["id"])
            programs[0].wait_until(lambda: _answers(store.url), "the store answers again")

            def whole_again() -> bool:
                whole = reading.complete([str(host.run()["id"])], WHOLE)
                end = time.monotonic() + 3  # the spool is written once a second
                while not (found := whole(reading.spooled(spool))) and time.monotonic() < end:
                    time.sleep(0.05)
                return found

            programs[0].wait_until(whole_again, "a generation is whole again")
        joined(spool, during)
        for line in one_line_each(programs):
            assert NO_ANSWER in line


def test_a_store_that_is_flushed_midway(
    host: SmallHost, tmp_path: Path, anything_failed: Callable[[], bool]
) -> None:
    """Every run has its span all the same: who told something tells it again."""
    spool = tmp_path / "spool"
    with servers.redis(anything_failed) as store:
        env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_REDIS_URL": store.url}
        with host.running(env) as programs:
            ids = [host.submit(f"flushed {word}") for word in ("SLOWRENDER", "SLOWSUBMIT", "BOOM")]
            for generation_id in ids[:2]:
                host.wait_status(generation_id, "processing")
            with Redis.from_url(store.url) as client:  # pyright: ignore[reportUnknownMemberType]
                client.flushall()
            host.wait_final(ids)
            programs[0].wait_until(lambda: len(ends(spool, ids)) == len(ids), "runs end")
        for generation_id, span in ends(spool, ids).items():
            joined(spool, generation_id)
            assert "gentrace.incomplete" not in span["attributes"]
            assert span["attributes"]["generation.tries"] >= 1
        for program in programs:
            assert said(program) == []


def test_a_store_that_answers_late(
    host: SmallHost, without: list[float], tmp_path: Path, anything_failed: Callable[[], bool]
) -> None:
    """Five seconds for each answer: the generation does not wait for them."""
    spool = tmp_path / "spool"
    with servers.redis(anything_failed) as store, delaying(store.port, 5) as late:
        env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_REDIS_URL": late.url}
        took, programs, generation_id = run_and_stop(host, env)
    in_time(took, without)
    for line in one_line_each(programs):
        assert NO_ANSWER in line
    joined(spool, generation_id)
    says_so(spool, generation_id)


def test_a_store_that_is_slow_begins_no_second_trace(
    host: SmallHost, tmp_path: Path, anything_failed: Callable[[], bool]
) -> None:
    """No read is answered in the time that the host waits: whose run it is, is learnt later.

    Two workers: a poll in the one puts back what the other has submitted.
    """
    spool = tmp_path / "spool"
    with servers.redis(anything_failed) as store, delaying(store.port, 0.3) as late:
        env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_REDIS_URL": late.url}
        with host.running(env), host.running(env, api=None):
            ids = host.submit_all([{"prompt": f"number {n} RETRYFILTER1"} for n in range(10)])
            assert {g["status"] for g in host.wait_final(ids, 90)} == {"completed"}
    found = reading.trace_ids(reading.spooled(spool))
    assert {g: len(found[g]) for g in ids} == dict.fromkeys(ids, 1)
    for generation_id in ids:
        joined(spool, generation_id)


def test_a_store_that_comes_back(
    host: SmallHost, tmp_path: Path, anything_failed: Callable[[], bool]
) -> None:
    """What was told meanwhile is kept, and written then: nothing is missing."""
    spool = tmp_path / "spool"
    with servers.redis(anything_failed) as store, delaying(store.port, 0) as wire:
        env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_REDIS_URL": wire.url}
        with host.running(env) as programs:
            slow = host.submit("it goes away SLOWRENDER")
            host.wait_status(slow, "processing")
            wire.delay_s = 60
            during = host.submit("while it is away")
            host.wait_final([slow, during])
            wire.delay_s = 0
            ids = [slow, during]
            programs[0].wait_until(lambda: len(ends(spool, ids)) == 2, "runs end")
        found = ends(spool, ids)
    for generation_id in ids:
        joined(spool, generation_id)
        assert found[generation_id]["attributes"]["generation.outcome"] == "completed"
    assert "gentrace.incomplete" not in found[slow]["attributes"]
    for line in one_line_each(programs):
        assert NO_ANSWER in line


def _answers(url: str) -> bool:
    with Redis.from_url(url, socket_timeout=300) as client:  # pyright: ignore[reportUnknownMemberType]
        return bool(client.ping())
