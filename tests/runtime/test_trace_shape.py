"""The whole trace of a generation, compared with a stored one.

`GOLDEN=write pytest tests/runtime/test_trace_shape.py` stores what is there now.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from arq import cron, func

from gentrace.core import names
from tests.runtime.hooks.test_arq_worker import id_of
from tests.support.host import ROUTE, SmallHost, attributes
from tests.support.shape import Shape, by_trace

GOLDEN = Path(__file__).with_name("golden")
RARELY: dict[str, Any] = {"month": 2, "day": 29, "run_at_startup": True}


def compare(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


async def one_generation(host: SmallHost, *, apart: bool) -> None:
    """A generation from its request to its asset; `apart`: nothing is remembered in between."""
    await host.create("a lighthouse NEVERRENDER")
    if apart:
        host.elsewhere()
    await host.work()
    if apart:
        host.elsewhere()
    for job in host.standin.jobs.values():
        job.done_at = 0
    poller = host.module("workers.status_poller").poll_job_statuses
    await host.work(cron_jobs=[cron(poller, **RARELY)])
    assert (await host.client.get(f"{ROUTE}/1")).json()["status"] == "completed"


async def test_one_generation_is_one_trace(host: SmallHost) -> None:
    await one_generation(host, apart=False)
    (trace,) = by_trace(host.spans())
    (known,) = [i for i, span in enumerate(trace) if "INSERT generations" in repr(attributes(span))]
    without = [s for s in trace if attributes(s).get(names.GENERATION_ID) != "1"]
    # SQL until the row is made: there was no id yet
    assert without
    assert all("db.system" in attributes(s) for s in without)
    assert set(without) <= set(trace[: known + 1])
    assert [span.name for span in trace if span.parent is None] == [f"POST {ROUTE}"]
    compare("one_generation", Shape().text([*trace, await host.run()]))


async def test_it_is_the_same_trace_across_processes(host: SmallHost) -> None:
    await one_generation(host, apart=True)
    (trace,) = by_trace(host.spans())
    compare("one_generation", Shape().text([*trace, await host.run()]))


async def test_a_refused_request_is_one_trace_without_a_generation(host: SmallHost) -> None:
    answer = await host.post(ROUTE, {"config": {"generationType": "no such thing"}})
    assert answer.status_code == 422
    (span,) = host.spans()
    assert (span.name, span.kind.name, span.parent) == (f"POST {ROUTE}", "SERVER", None)
    assert 422 in attributes(span).values()
    assert names.GENERATION_ID not in attributes(span)


async def test_a_request_refused_by_the_service(host: SmallHost) -> None:
    host.standin.knobs.credits = 0
    answer = await host.create("a lighthouse", provider_id="nobody")
    assert answer.status_code == 400
    (trace,) = by_trace(host.spans())
    compare("refused", Shape().text(trace))


async def test_other_routes_are_silent(host: SmallHost) -> None:
    assert (await host.client.get(ROUTE)).status_code == 200
    assert (await host.client.get("/health")).status_code == 200
    assert host.spans() == []


async def test_an_incoming_traceparent_is_a_link(host: SmallHost) -> None:
    sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"config": {"generationType": "text_to_video", "prompt": "a lighthouse"}}
    await host.post(ROUTE, body, headers={"traceparent": sent})
    server = host.one(f"POST {ROUTE}")
    assert server.parent is None
    (link,) = server.links
    assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" in sent
    assert dict(link.attributes or {}) == {names.LINK: names.LINK_INCOMING}


async def test_generations_that_a_job_makes_own_their_traces(host: SmallHost) -> None:
    items = [{"generationType": "text_to_video", "prompt": f"lighthouse {n}"} for n in range(2)]
    answer = await host.post("/api/v1/generation-chains/execute-fanout-ephemeral", {"items": items})
    assert answer.status_code == 202
    await host.work(
        [host.module("workers.chain_execution_processor").process_ephemeral_fanout_execution]
    )
    assert len(by_trace(host.spans())) == 2
    for span in host.named(names.CREATE_GENERATION):
        assert span.parent is None
        caller = attributes(span)[names.CALLER]
        assert caller == "job:process_ephemeral_fanout_execution"


async def test_the_api_time_of_a_generation_that_a_job_makes_is_the_call(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody enqueues it: from the call's end on the run waits for nothing that is known."""
    creation = host.module("services.generation.creation").GenerationCreationService

    async def nothing(_self: Any, _generation: Any) -> None: ...

    monkeypatch.setattr(creation, "_enqueue", nothing)
    items = [{"generationType": "text_to_video", "prompt": "a lighthouse"}]
    await host.post("/api/v1/generation-chains/execute-fanout-ephemeral", {"items": items})
    await host.work(
        [host.module("workers.chain_execution_processor").process_ephemeral_fanout_execution]
    )
    created = host.one(names.CREATE_GENERATION)
    assert created.start_time is not None
    assert created.end_time is not None
    await host.fail(1)
    run = attributes(await host.run())
    assert 0 < run[names.TIMES["api"]] <= (created.end_time - created.start_time) / 1e9
    assert run[names.TIMES["unexplained"]] > 0
    assert run[names.TIMES["queue"]] == 0


async def test_a_generation_made_in_another_ones_job_is_linked_to_it(host: SmallHost) -> None:
    creation = host.module("services.generation.creation").GenerationCreationService
    users = host.module("services.user")
    database = host.module("infrastructure.database.session")
    kind = host.module("domain.enums").OperationType.TEXT_TO_VIDEO

    async def process_generation(ctx: dict[str, Any], generation_id: int) -> None:
        if generation_id == 1:
            async with database.get_async_session() as db:
                await creation(db, users.UserService()).create_generation(
                    user=await users.UserService().get_user(1),
                    operation_type=kind,
                    provider_id="pixverse",
                    params={"generation_config": {"prompt": "and then a storm"}},
                )

    await host.create()
    await host.work([func(process_generation, name="process_generation")])
    first, second = by_trace(host.spans())
    assert {attributes(span).get(names.GENERATION_ID, "1") for span in first} == {"1"}
    assert {attributes(span).get(names.GENERATION_ID, "2") for span in second} == {"2"}
    made = host.named(names.CREATE_GENERATION)[1]
    assert made.parent is None
    (link,) = made.links
    assert link.context.span_id == id_of(host.named("process_generation")[0])
    assert dict(link.attributes or {}) == {names.LINK: names.LINK_CHAIN}
