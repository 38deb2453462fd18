"""Polls that change nothing are silent, and each counts on the generations that it was for."""

from __future__ import annotations

from gentrace.core import names
from tests.support.host import SmallHost, attributes


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
