"""The true outcome of each try of a job, in a real ARQ worker."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import types
import warnings
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from arq import Retry, func
from arq.constants import abort_jobs_ss
from arq.jobs import Job
from arq.utils import timestamp_ms
from arq.worker import RetryJob, Worker
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import ReadableSpan

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.guard import MAX_FAILURES
from gentrace.runtime.hooks.arq_job import JobSpans
from gentrace.runtime.hooks.arq_outcome import working
from gentrace.runtime.hooks.arq_worker import WorkerHooks
from tests.runtime.conftest import Swallowed
from tests.support.host import SmallHost, attributes, until

JOB = "process_generation"
ENQUEUE = f"enqueue {JOB}"


class HostError(Exception):
    """Raised by a job."""


def job(work: Callable[..., Any], **options: Any) -> Any:
    """An ARQ function of the generation's job that does `work`."""

    async def process_generation(ctx: dict[str, Any], generation_id: int) -> Any:
        return await work(ctx)

    return func(process_generation, name=JOB, **options)


async def never(ctx: dict[str, Any]) -> None:
    """A job that the worker gives up before it runs."""
    raise AssertionError("it must not run")


def told(host: SmallHost) -> list[tuple[Any, Any, str]]:
    """Outcome, try and span status of each try."""
    return [
        (
            attributes(span)[names.JOB_OUTCOME],
            attributes(span).get(names.JOB_TRY),
            span.status.status_code.name,
        )
        for span in host.named(JOB)
    ]


def queued(host: SmallHost) -> str:
    """The id of the last job that was enqueued."""
    return str(attributes(host.named(ENQUEUE)[-1])[names.MESSAGING_MESSAGE_ID])


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


async def test_succeeded(host: SmallHost) -> None:
    async def work(ctx: dict[str, Any]) -> dict[str, str]:
        return {"status": "submitted", "reason": "asked by bob@example.com"}

    await host.create()
    worker = await host.work([job(work)])
    assert worker.jobs_complete == 1
    assert told(host) == [("succeeded", 1, "UNSET")]
    span = host.one(JOB)
    assert span.kind.name == "CONSUMER"
    assert parent_of(span) == id_of(host.one(ENQUEUE))
    made = attributes(span)
    assert made[names.MESSAGING_MESSAGE_ID] == queued(host)
    assert made[names.JOB_STATUS] == "submitted"
    assert made[names.JOB_REASON].startswith("asked by <email:15:")
    assert names.INCOMPLETE not in made


async def test_failed(host: SmallHost) -> None:
    error = HostError("bob@example.com has no account")

    async def work(ctx: dict[str, Any]) -> None:
        raise error

    await host.create()
    worker = await host.work([job(work)])
    assert worker.jobs_failed == 1
    assert told(host) == [("failed", 1, "ERROR")]
    made = attributes(host.one(JOB))
    assert made["error.type"] == f"{__name__}.HostError"
    assert "bob" not in repr(made) + str(host.one(JOB).status.description)
    pool = await host.module("infrastructure.redis").get_arq_pool()
    with pytest.raises(HostError, match="has no account"):
        await Job(queued(host), pool).result(timeout=60)


@pytest.mark.parametrize("control", [Retry, RetryJob])
async def test_retry_is_no_error(host: SmallHost, control: type[Exception]) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        if ctx["job_try"] == 1:
            raise control

    await host.create()
    await host.work([job(work)])
    assert told(host) == [("retry", 1, "UNSET"), ("succeeded", 2, "UNSET")]
    assert len({parent_of(span) for span in host.named(JOB)}) == 1


async def test_a_retry_that_the_worker_does_not_allow_is_a_failure(host: SmallHost) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        raise Retry

    await host.create()
    await host.work([job(work)], retry_jobs=False)
    assert told(host) == [("failed", 1, "ERROR")]


async def test_max_tries(host: SmallHost) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        raise Retry

    await host.create()
    worker = await host.work([job(work, max_tries=2)])
    assert worker.jobs_failed == 1
    assert [outcome for outcome, _, _ in told(host)] == ["retry", "retry", "max_tries"]
    assert told(host)[-1][2] == "ERROR"


async def test_timeout(host: SmallHost) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        await asyncio.sleep(60)

    await host.create()
    await host.work([job(work, timeout=0.05)])
    assert told(host) == [("timeout", 1, "ERROR")]
    assert attributes(host.one(JOB))["error.type"] == "TimeoutError"


async def test_the_jobs_time_out_does_not_pay_for_the_store(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    find = JobSpans.find_run

    async def slowly(spans: JobSpans, job: Any) -> None:
        await asyncio.sleep(0.3)
        await find(spans, job)

    async def starting(ctx: dict[str, Any]) -> None:
        seen.append(ctx)

    async def work(ctx: dict[str, Any]) -> None:
        seen.append(ctx)

    monkeypatch.setattr(JobSpans, "find_run", slowly)
    await host.create()
    worker = await host.work([job(work, timeout=0.2)], on_job_start=starting)
    assert worker.jobs_complete == 1
    assert told(host) == [("succeeded", 1, "UNSET")]
    assert seen[0] is seen[1]  # the host's own on_job_start was called as ever


async def test_a_timeout_that_the_job_raises_itself_is_its_failure(host: SmallHost) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        raise TimeoutError

    await host.create()
    await host.work([job(work)])
    assert told(host) == [("failed", 1, "ERROR")]


async def test_abort(host: SmallHost) -> None:
    with host.redis as client:

        async def work(ctx: dict[str, Any]) -> None:
            client.zadd(abort_jobs_ss, {ctx["job_id"]: timestamp_ms()})
            await asyncio.sleep(60)

        await host.create()
        worker = await host.work([job(work)], allow_abort_jobs=True)
    assert worker.jobs_failed == 1
    assert told(host) == [("aborted", 1, "UNSET")]


async def test_abort_before_the_start(host: SmallHost) -> None:
    await host.create()
    with host.redis as client:
        client.zadd(abort_jobs_ss, {queued(host): timestamp_ms()})
    worker = await host.work([job(never)], allow_abort_jobs=True)
    assert worker.jobs_failed == 1
    assert [(outcome, status) for outcome, _, status in told(host)] == [("aborted", "UNSET")]


async def test_no_result_is_read_once_more_to_tell_why_a_job_did_not_run(host: SmallHost) -> None:
    read: list[bytes] = []

    def load(payload: bytes) -> Any:
        read.append(payload)
        return pickle.loads(payload)

    await host.create()
    with host.redis as client:
        client.zadd(abort_jobs_ss, {queued(host): timestamp_ms()})
    await host.work([job(never)], allow_abort_jobs=True, job_deserializer=load)
    assert told(host)[0][0] == "aborted"
    assert len(read) == 1


async def test_a_job_that_cancels_itself_is_no_timeout(host: SmallHost) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        if ctx["job_try"] == 1:
            raise asyncio.CancelledError

    await host.create()
    await host.work([job(work)])
    assert told(host) == [("interrupted", 1, "UNSET"), ("succeeded", 2, "UNSET")]


async def test_a_cancelled_job_that_will_not_be_run_again_has_failed(host: SmallHost) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        raise asyncio.CancelledError

    await host.create()
    worker = await host.work([job(work)], retry_jobs=False)
    assert worker.jobs_failed == 1
    assert told(host) == [("failed", 1, "ERROR")]
    assert attributes(host.one(JOB))["error.type"] == "asyncio.exceptions.CancelledError"


@pytest.mark.parametrize(
    ("retry_jobs", "became"), [(True, ("interrupted", 1, "UNSET")), (False, ("failed", 1, "ERROR"))]
)
async def test_a_job_at_work_when_the_worker_ends(
    host: SmallHost, retry_jobs: bool, became: tuple[Any, ...]
) -> None:
    begun = asyncio.Event()

    async def work(ctx: dict[str, Any]) -> None:
        begun.set()
        await asyncio.sleep(60)

    await host.create()
    settings = host.module("infrastructure.redis.client").arq_redis_settings()
    options: dict[str, Any] = {"poll_delay": 0.01, "handle_signals": False}
    worker = Worker([job(work)], redis_settings=settings, retry_jobs=retry_jobs, **options)
    running = asyncio.ensure_future(worker.async_run())
    await asyncio.wait_for(begun.wait(), 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        await worker.close()
    await asyncio.gather(running, return_exceptions=True)
    assert told(host) == [became]


async def test_function_not_found(host: SmallHost) -> None:
    await host.create()
    worker = await host.work([never])
    assert worker.jobs_failed == 1
    assert told(host) == [("not_found", 1, "ERROR")]
    assert parent_of(host.one(JOB)) == id_of(host.one(ENQUEUE))


LOST = pytest.mark.parametrize(
    ("became", "payload"), [("expired", None), ("corrupt", b"\x80\x04garbage")]
)


def lose(host: SmallHost, payload: bytes | None) -> None:
    """The queued job's payload is gone, or is this."""
    with host.redis as client:
        client.delete(f"arq:job:{queued(host)}")
        if payload is not None:
            client.set(f"arq:job:{queued(host)}", payload)


@LOST
async def test_a_job_whose_payload_is_lost_is_known_by_its_id(
    host: SmallHost, became: str, payload: bytes | None
) -> None:
    await host.create()
    lose(host, payload)
    host.elsewhere()
    worker = await host.work([job(never)])
    assert worker.jobs_failed == 1
    assert told(host) == [(became, 1, "ERROR")]
    span = host.one(JOB)
    assert attributes(span)["error.type"] == became
    assert attributes(span)[names.GENERATION_ID] == "1"
    assert parent_of(span) == id_of(host.one(ENQUEUE))
    assert span.links == ()


@LOST
async def test_a_lost_job_that_nobody_traced_makes_no_span(
    host: SmallHost, became: str, payload: bytes | None
) -> None:
    await host.create()
    lose(host, payload)
    host.elsewhere()
    with host.redis as client:
        assert client.delete(f"gentrace:pixsim7:job:{queued(host)}") == 1
    worker = await host.work([job(never)])
    assert worker.jobs_failed == 1
    assert told(host) == []


async def test_what_is_kept_of_a_job_outlives_its_payload_and_goes_with_the_job(
    host: SmallHost,
) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        return None

    await host.create()
    host.elsewhere()
    key = f"gentrace:pixsim7:job:{queued(host)}"
    with host.redis as client:
        payload_s = client.ttl(f"arq:job:{queued(host)}")
        assert client.ttl(key) > payload_s + 3600  # pyright: ignore[reportOperatorIssue]
        await host.work([job(work)])
        host.elsewhere()
        assert not client.exists(key)


async def test_a_worker_in_another_process_continues_the_trace(host: SmallHost) -> None:
    async def work(ctx: dict[str, Any]) -> None:
        return None

    await host.create()
    host.elsewhere()
    await host.work([job(work)])
    span = host.one(JOB)
    assert parent_of(span) == id_of(host.one(ENQUEUE))
    assert attributes(span)[names.GENERATION_ID] == "1"
    assert names.INCOMPLETE not in attributes(span)


async def test_jobs_side_by_side_are_each_in_their_own_trace(host: SmallHost) -> None:
    together = asyncio.Barrier(3)

    async def work(ctx: dict[str, Any]) -> None:
        await asyncio.wait_for(together.wait(), 60)
        await (await host.module("infrastructure.redis").get_arq_pool()).enqueue_job("follow_up")

    for number in range(3):
        await host.create(f"lighthouse number {number}")
    await host.work([job(work)], max_burst_jobs=3)
    jobs = {id_of(span): attributes(span) for span in host.named(JOB)}
    follow_ups = host.named("enqueue follow_up")
    assert len(jobs) == 3
    assert {parent_of(span) for span in follow_ups} == set(jobs)
    for span in follow_ups:
        assert attributes(span)[names.GENERATION_ID] == jobs[parent_of(span)][names.GENERATION_ID]


async def test_a_cron_is_silent(host: SmallHost) -> None:
    from arq import cron

    ran: list[Any] = []

    async def tick(ctx: dict[str, Any]) -> None:
        ran.append(context.caller())

    settings = {"name": "cron:tick", "month": 2, "day": 29, "run_at_startup": True}
    await host.work(cron_jobs=[cron(tick, **settings)])  # pyright: ignore[reportArgumentType]
    assert ran == ["cron:tick"]
    await until(lambda: context.current() is None)
    assert host.spans() == []


@pytest.mark.parametrize("by_path", [True, False], ids=["string", "coroutine"])
async def test_a_function_by_its_import_path_or_as_it_is(host: SmallHost, by_path: bool) -> None:
    await host.create()
    with host.redis as client:
        client.flushdb()
    path = "pixsim7.backend.main.workers.job_processor.process_generation"
    function = path if by_path else host.module("workers.job_processor").process_generation
    redis = await host.module("infrastructure.redis").get_arq_pool()
    await redis.enqueue_job(path if by_path else JOB, generation_id=1)
    worker = await host.work([function])
    assert worker.jobs_complete == 1
    assert told(host) == [("succeeded", 1, "UNSET")]
    span = host.one(JOB)
    assert attributes(span)[names.JOB_STATUS] == "submitted"
    assert parent_of(span) == id_of(host.named(ENQUEUE)[-1])
    assert not host.named(path)
    assert attributes(host.named("account.select")[0])[names.GENERATION_ID] == "1"


STEPS = ("read", "find_run", "start", "returned", "finished", "end")


@pytest.mark.parametrize("step", STEPS)
async def test_a_fault_at_any_step_is_no_matter_to_the_job(
    host: SmallHost, step: str, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    class OurFault(Exception):
        pass

    def broken(*_given: Any) -> Any:
        raise OurFault

    async def broken_soon(*_given: Any) -> Any:
        raise OurFault

    async def work(ctx: dict[str, Any], word: str) -> str:
        return f"{word} {ctx['job_try']}"

    monkeypatch.setattr(JobSpans, step, broken_soon if step == "find_run" else broken)
    redis = await host.module("infrastructure.redis").get_arq_pool()
    jobs = [await redis.enqueue_job("work", "well", _job_id=f"{n}") for n in range(30)]
    worker = await host.work([func(work, name="work")], max_jobs=1)
    assert worker.jobs_complete == 30
    assert {await each.result(timeout=60) for each in jobs} == {"well 1"}
    guard = host.session.engine.guards["arq worker"]
    assert guard.off
    assert len(swallowed) == guard.total == MAX_FAILURES


async def test_faults_that_are_not_in_a_row_switch_nothing_off(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    def sometimes(_spans: JobSpans, job: Any) -> None:
        if int(job.job_id) % 2:
            raise OSError

    async def work(ctx: dict[str, Any]) -> None:
        return None

    monkeypatch.setattr(JobSpans, "end", sometimes)
    redis = await host.module("infrastructure.redis").get_arq_pool()
    for number in range(2 * MAX_FAILURES + 4):
        await redis.enqueue_job("work", _job_id=f"{number}")
    await host.work([func(work, name="work")], max_jobs=1)
    assert not host.session.engine.guards["arq worker"].off
    assert len(swallowed) == MAX_FAILURES + 2


@types.coroutine
def suspended(*_given: Any) -> Generator[None]:
    """A job that waits for ever."""
    yield


async def test_a_job_that_is_closed_from_another_context(
    host: SmallHost, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = WorkerHooks(host.session.engine)
    running = hooks.run_job(suspended, SimpleNamespace(pool=None), ("j", 1), {})
    before = get_current()
    contextvars.copy_context().run(running.send, None)
    running.close()
    assert working.get() is None
    assert get_current() is before
    assert not caplog.records
