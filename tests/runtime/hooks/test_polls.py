"""Polls that change nothing are silent, and each counts on the generations that it was for."""

from __future__ import annotations

import time

from opentelemetry import trace

from gentrace.core import names
from gentrace.core.times import Event, Kind
from gentrace.runtime import context
from gentrace.runtime.context import Run
from tests.support.host import SmallHost, attributes, until


async def test_one_list_for_two_generations_counts_on_each(host: SmallHost) -> None:
    host.standin.knobs.render_s = 1000.0
    ids = [str((await host.create(f"number {n}")).json()["id"]) for n in range(2)]
    process = host.module("workers.job_processor").process_generation
    await host.work([process], max_burst_jobs=2)
    before = len(host.spans())
    poll = host.module("workers.status_poller").poll_job_statuses
    for _ in range(3):
        assert (await poll({}))["checked"] == 2
    liveness = host.session.engine.liveness
    awaited = liveness.doing()["awaited"]
    assert {i: awaited[i]["polls"] for i in ids} == dict.fromkeys(ids, 3)
    assert len(host.spans()) == before  # nothing was changed: no span, none of HTTP or SQL either
    for job in host.standin.jobs.values():
        job.done_at = 0.0
    await poll({})
    runs = [await host.run(number) for number in (1, 2)]
    told = {attributes(run)[names.GENERATION_ID]: attributes(run)[names.POLLS] for run in runs}
    assert told == dict.fromkeys(ids, 4)
    polls = host.named(names.PROVIDER_POLL)
    assert {attributes(span)[names.GENERATION_ID] for span in polls} == set(ids)
    assert liveness.doing()["awaited"] == {}


async def test_a_poll_hangs_under_the_submission_that_another_process_made(
    host: SmallHost,
) -> None:
    """This one has made and polled the attempt before, and goes on polling."""
    host.standin.knobs.render_s = 1000.0
    generation_id = str((await host.create()).json()["id"])
    await host.work([host.module("workers.job_processor").process_generation])
    poll = host.module("workers.status_poller").poll_job_statuses
    await poll({})
    known = context.find(generation_id)
    assert known is not None
    assert known.parent is not None
    assert (known.attempts, known.provider_status) == (1, "processing")
    store, at = host.session.engine.store, known.parent
    theirs = trace.SpanContext(at.trace_id, 0xBEEF, False, at.trace_flags)
    other = Run(generation_id, parent=theirs, owned=True, attempts=2)
    store.note(
        other,
        events=(Event(Kind.SUBMITTING, time.time_ns(), 2),),
        counts={names.ATTEMPTS: 1},
        executed=f"{theirs.span_id:016x}",
        stage="submitted",
    )
    store.flush(5)
    await poll({})
    await until(lambda: known.attempts == 2)
    for job in host.standin.jobs.values():
        job.done_at = 0.0
    await poll({})
    (told,) = host.named(names.PROVIDER_POLL)
    assert told.parent is not None
    assert (told.parent.trace_id, told.parent.span_id) == (at.trace_id, theirs.span_id)
