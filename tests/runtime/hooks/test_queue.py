"""What became of each enqueue, and what the job in Redis carries."""

from __future__ import annotations

import json
import pickle
from datetime import timedelta
from typing import Any

import pytest
from arq.connections import create_pool
from arq.jobs import serialize_job
from opentelemetry.sdk.trace import ReadableSpan

from gentrace.core import names
from gentrace.runtime import carrier
from tests.runtime.conftest import Swallowed
from tests.support.host import SmallHost, attributes
from tools.servers import HOST, free_ports

ENQUEUE = "enqueue process_generation"
FIELDS = {"traceparent", "tracestate", "baggage"}


def outcomes(host: SmallHost, name: str = ENQUEUE) -> list[Any]:
    return [attributes(span).get(names.ENQUEUE_OUTCOME) for span in host.named(name)]


def payload(host: SmallHost, job_id: str) -> bytes:
    """The job as it lies in Redis."""
    import redis

    with redis.Redis(port=host.server.port) as client:
        found = client.get(f"arq:job:{job_id}")
    assert isinstance(found, bytes)
    return found


def job_id(span: ReadableSpan) -> str:
    return str(attributes(span)[names.MESSAGING_MESSAGE_ID])


async def pool(host: SmallHost, **options: Any) -> Any:
    settings = host.module("infrastructure.redis.client").arq_redis_settings()
    return await create_pool(settings, **options)


async def test_an_enqueued_job_is_one_span_with_its_message(host: SmallHost) -> None:
    await host.create()
    span = host.one(ENQUEUE)
    assert span.kind.name == "PRODUCER"
    made = attributes(span)
    assert (made[names.ENQUEUE_OUTCOME], made["messaging.system"]) == ("enqueued", "arq")
    assert made["messaging.destination.name"] == "arq:queue"
    assert span.parent is not None
    assert span.parent == host.one(names.CREATE_GENERATION).context


async def test_the_payload_has_one_key_more_and_the_propagators_fields_in_it(
    host: SmallHost,
) -> None:
    await host.create()
    span = host.one(ENQUEUE)
    assert span.context is not None
    job = pickle.loads(payload(host, job_id(span)))
    assert job.keys() == {"t", "f", "a", "k", "et", carrier.KEY}
    assert (job["f"], job["a"], job["k"]) == ("process_generation", (), {"generation_id": 1})
    assert job[carrier.KEY].keys() <= FIELDS
    trace_id, span_id = f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"
    sent, flags = job[carrier.KEY]["traceparent"].rsplit("-", 1)
    assert sent == f"00-{trace_id}-{span_id}"
    assert int(flags, 16) & 1  # sampled


async def test_jobs_of_no_generation_are_left_alone(host: SmallHost) -> None:
    redis = await pool(host)
    job = await redis.enqueue_job("send_mail", "bob@example.com")
    assert pickle.loads(payload(host, job.job_id)).keys() == {"t", "f", "a", "k", "et"}
    assert host.spans() == []
    await redis.aclose()


async def test_a_json_serializer_gets_the_carrier(host: SmallHost) -> None:
    await host.create()
    redis = await pool(
        host, job_serializer=lambda data: json.dumps(data).encode(), job_deserializer=json.loads
    )
    job = await redis.enqueue_job("process_generation", generation_id=1)
    found = json.loads(payload(host, job.job_id))
    assert found[carrier.KEY].keys() <= FIELDS
    await redis.aclose()


async def test_a_serializer_that_refuses_unknown_keys_gets_the_plain_job(host: SmallHost) -> None:
    await host.create()
    asked: list[int] = []

    def strict(data: dict[str, Any]) -> bytes:
        asked.append(len(data))
        if data.keys() - {"t", "f", "a", "k", "et"}:
            raise ValueError("unknown keys")
        return pickle.dumps(data)

    redis = await pool(host, job_serializer=strict, job_deserializer=pickle.loads)
    job = await redis.enqueue_job("process_generation", generation_id=1)
    assert asked == [6, 5]
    own = pickle.loads(payload(host, job.job_id))
    assert own["k"] == {"generation_id": 1}
    assert payload(host, job.job_id) == serialize_job(
        own["f"], own["a"], own["k"], own["t"], own["et"], serializer=strict
    )
    await redis.aclose()


async def test_a_job_id_that_arq_has_already_is_a_duplicate(host: SmallHost) -> None:
    await host.create()
    redis = await pool(host)
    first = await redis.enqueue_job("process_generation", generation_id=1, _job_id="one")
    assert first is not None
    assert await redis.enqueue_job("process_generation", generation_id=1, _job_id="one") is None
    assert outcomes(host) == ["enqueued", "enqueued", "duplicate"]
    assert [job_id(span) for span in host.named(ENQUEUE)][1:] == ["one", "one"]
    await redis.aclose()


async def test_a_lease_that_is_held_ends_before_arq(host: SmallHost) -> None:
    await host.create()
    queue = host.module("infrastructure.queue")
    redis = await pool(host)
    assert await queue.enqueue_generation_fresh_job(redis, 1) is False
    again = await queue.enqueue_generation_retry_job(redis, 1)
    assert again["deduped"]
    assert outcomes(host) == ["enqueued", "leased", "leased"]
    assert names.MESSAGING_MESSAGE_ID not in attributes(host.named(ENQUEUE)[-1])
    await redis.aclose()


async def test_a_lease_met_by_a_cron_is_silent_and_an_enqueue_names_the_cron(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await host.create()
    maintenance = host.module("workers.status_poller_maintenance")
    monkeypatch.setattr(maintenance, "timedelta", lambda **_given: _nothing())
    assert (await maintenance.requeue_pending_generations({}))["requeued"] == 0
    assert outcomes(host) == ["enqueued"]
    with host.redis as client:
        client.delete("pixsim7:generation:enqueue_lease:1")
    assert (await maintenance.requeue_pending_generations({}))["requeued"] == 1
    assert outcomes(host) == ["enqueued", "enqueued"]
    creation, again = host.one(names.CREATE_GENERATION), host.named(ENQUEUE)[1]
    assert attributes(again)[names.CALLER] == "cron:requeue_pending_generations"
    assert creation.context is not None
    assert again.context is not None
    assert again.context.trace_id == creation.context.trace_id


def _nothing() -> Any:
    return timedelta(0)


async def test_a_deferred_job_says_for_how_long(host: SmallHost) -> None:
    await host.create()
    with host.redis as client:
        client.delete("pixsim7:generation:enqueue_lease:1")
    queue = host.module("infrastructure.queue")
    redis = await pool(host)
    await queue.enqueue_generation_retry_job(redis, 1, defer_seconds=9)
    assert attributes(host.named(ENQUEUE)[-1])[names.ENQUEUE_DEFER] == 9.0
    await redis.aclose()


@pytest.mark.parametrize(
    ("options", "life_s"),
    [
        ({}, 86_400),
        ({"_expires": 60}, 60),
        ({"_expires": timedelta(minutes=2), "_defer_by": 30}, 120),
        ({"_defer_by": timedelta(hours=1)}, 86_400 + 3600),
    ],
)
async def test_whose_job_it_is_is_kept_a_day_longer_than_the_job(
    host: SmallHost, options: dict[str, Any], life_s: int
) -> None:
    await host.create()
    redis = await pool(host)
    await redis.enqueue_job("process_generation", generation_id=1, _job_id="one", **options)
    host.elsewhere()
    with host.redis as client:
        payload_s: Any = client.ttl("arq:job:one")
        kept_s: Any = client.ttl("gentrace:pixsim7:job:one")
    assert life_s - 5 <= payload_s <= life_s
    assert life_s - 5 <= kept_s - 86_400 <= life_s
    await redis.aclose()


async def test_redis_is_down_and_the_host_swallows_it(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arq.connections import ArqRedis

    (closed,) = free_ports(1)
    async with ArqRedis(host=HOST, port=closed) as down:
        monkeypatch.setattr(host.module("infrastructure.redis.client"), "_arq_pool", down)
        answer = await host.create()
        assert await host.module("infrastructure.queue").enqueue_immediate_poll(down, 1) is False
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    for name in (ENQUEUE, "enqueue poll_generation_once"):
        assert outcomes(host, name) == ["error"]
        span = host.one(name)
        assert attributes(span)["error.type"] == "redis.exceptions.ConnectionError"
        assert not span.status.is_unset
        assert "127.0.0.1" not in str(span.status.description)
    assert host.one(names.CREATE_GENERATION).status.is_unset


async def test_arq_refuses_the_call(host: SmallHost) -> None:
    from datetime import UTC, datetime

    await host.create()
    redis = await pool(host)
    with pytest.raises(RuntimeError, match="use either"):
        await redis.enqueue_job(
            "process_generation", generation_id=1, _defer_by=1, _defer_until=datetime.now(UTC)
        )
    assert outcomes(host) == ["enqueued", "error"]
    assert carrier.outgoing.get() is None
    await redis.aclose()


async def test_what_was_to_go_into_a_job_is_not_left_for_the_next(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    def broken(*_given: Any) -> None:
        raise LookupError("ours")

    monkeypatch.setattr(host.session.engine.store, "save", broken)
    redis = await pool(host)
    await host.create()
    await redis.enqueue_job("process_generation", generation_id=1)
    assert swallowed
    assert carrier.outgoing.get() is None
    assert host.named(ENQUEUE)
    assert not host.session.upkeep.open._open
    job = await redis.enqueue_job("send_mail", "bob@example.com")
    assert pickle.loads(payload(host, job.job_id)).keys() == {"t", "f", "a", "k", "et"}
    await redis.aclose()
