"""The carrier in a job: taken where it is one, ignored where it is not, never in the host's way."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from arq.jobs import serialize_job
from hypothesis import given
from hypothesis import strategies as st

from gentrace.core import names
from gentrace.runtime import carrier, context
from tests.runtime.hooks.test_arq_worker import ENQUEUE, JOB, id_of, job, parent_of, queued, told
from tests.support.host import SmallHost, attributes

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HOSTILE: dict[str, Any] = {
    "a megabyte": {"traceparent": "x" * 1_000_000},
    "a megabyte of baggage": {"traceparent": TRACEPARENT, "baggage": "k=" + "v" * 1_000_000},
    "many fields": {f"field{n}": "1" for n in range(1000)},
    "a list": ["traceparent", TRACEPARENT],
    "nested": {"traceparent": {"traceparent": TRACEPARENT}},
    "names that are no text": {1: TRACEPARENT},
    "no traceparent": {"traceparent": "00-zz-zz-01"},
    "zeros": {"traceparent": f"00-{'0' * 32}-{'0' * 16}-01"},
    "nothing": None,
}


async def work(ctx: dict[str, Any]) -> dict[str, str]:
    return {"status": "submitted"}


def rewrite(host: SmallHost, **changes: Any) -> None:
    """Changes the queued job's payload; a value of ... takes the key out."""
    import redis

    with redis.Redis(port=host.server.port) as client:
        key = f"arq:job:{queued(host)}"
        data = {**pickle.loads(client.get(key)), **changes}  # pyright: ignore[reportArgumentType]
        client.set(key, pickle.dumps({k: v for k, v in data.items() if v is not ...}))
        host.elsewhere()
        for name in client.scan_iter("gentrace:*"):
            client.delete(name)


async def queue_one(host: SmallHost) -> None:
    """A generation's job that this process and the store know nothing of."""
    await host.create()


async def test_the_carrier_alone_joins_the_job_to_its_enqueue(host: SmallHost) -> None:
    await queue_one(host)
    rewrite(host)
    await host.work([job(work)])
    span = host.one(JOB)
    assert parent_of(span) == id_of(host.one(ENQUEUE))
    assert names.INCOMPLETE not in attributes(span)


async def test_a_job_without_a_carrier_runs_and_is_adopted(host: SmallHost) -> None:
    await queue_one(host)
    rewrite(host, **{carrier.KEY: ...})
    await host.work([job(work)])
    assert told(host) == [("succeeded", 1, "UNSET")]
    span = host.one(JOB)
    assert span.parent is None
    assert attributes(span)[names.INCOMPLETE] == ("adopted",)
    assert attributes(span)[names.GENERATION_ID] == "1"


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_carrier_is_ignored(host: SmallHost, hostile: Any) -> None:
    await queue_one(host)
    rewrite(host, **{carrier.KEY: hostile})
    worker = await host.work([job(work)])
    assert worker.jobs_complete == 1
    assert told(host) == [("succeeded", 1, "UNSET")]
    assert host.one(JOB).parent is None
    assert attributes(host.one(JOB))[names.INCOMPLETE] == ("adopted",)


async def test_an_older_carrier_becomes_a_link(host: SmallHost) -> None:
    await queue_one(host)
    rewrite(host, **{carrier.KEY: {"traceparent": TRACEPARENT}})
    known = context.Run("1", parent=host.one(names.CREATE_GENERATION).context, owned=True)
    host.session.engine.store.save(known)
    host.session.engine.store.flush(2)
    await host.work([job(work)])
    span = host.one(JOB)
    assert parent_of(span) == id_of(host.one(names.CREATE_GENERATION))
    (link,) = span.links
    assert f"{link.context.trace_id:032x}" in TRACEPARENT
    assert dict(link.attributes or {}) == {names.LINK: names.LINK_SUPERSEDED}


async def test_the_job_itself_sees_nothing_of_it(host: SmallHost) -> None:
    seen: list[Any] = []

    async def look(ctx: dict[str, Any]) -> None:
        seen.append(sorted(ctx))

    await queue_one(host)
    await host.work([job(look)])
    assert seen == [["enqueue_time", "job_id", "job_try", "redis", "score"]]


def test_both_serializers_agree_with_arqs_own() -> None:
    made = serialize_job("f", (1,), {"a": 2}, None, 3)
    sent = {"traceparent": TRACEPARENT}
    token = carrier.outgoing.set(sent)
    try:
        for dump, load in (
            (pickle.dumps, pickle.loads),
            (lambda data: json.dumps(data).encode(), json.loads),
        ):
            data = load(carrier.adding(dump)(pickle.loads(made)))
            assert data.pop(carrier.KEY) == sent
            assert {**data, "a": tuple(data["a"])} == pickle.loads(made)
    finally:
        carrier.outgoing.reset(token)
    assert carrier.adding(pickle.dumps)(pickle.loads(made)) == made


def test_a_result_of_another_shape_is_serialized_as_it_is() -> None:
    token = carrier.outgoing.set({"traceparent": TRACEPARENT})
    try:
        for data in ([1], "text", None, {carrier.KEY: "the host's own"}):
            assert pickle.loads(carrier.adding(pickle.dumps)(data)) == data
    finally:
        carrier.outgoing.reset(token)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(anything)
def test_whatever_was_sent_a_carrier_is_texts_or_nothing(sent: Any) -> None:
    seen: list[Any] = []

    def load(payload: bytes) -> Any:
        seen.append(payload)
        return {carrier.KEY: sent}

    assert carrier.taking(load)(b"payload") == {carrier.KEY: sent}
    taken = carrier.incoming.get()
    assert seen == [b"payload"]
    assert taken is None or all(isinstance(t, str) for pair in taken.items() for t in pair)
    found = carrier.extract(taken)
    assert found is None or found.is_valid
    carrier.incoming.set(None)
