"""The carrier in a job: taken where it is one, left aside where it is not, never in the way."""

from __future__ import annotations

import asyncio
import itertools
import json
import pickle
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_plus

import pytest
import redis
from arq.jobs import SerializationError, serialize_job
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gentrace.core import names
from gentrace.runtime import carrier, context
from gentrace.runtime.baggage import MAX_BYTES
from gentrace.runtime.context import Run
from gentrace.runtime.hooks.arq_job import JobSpans
from tests.runtime.conftest import Swallowed
from tests.runtime.hooks.test_arq_worker import ENQUEUE, JOB, id_of, job, parent_of, queued, told
from tests.support.host import SmallHost, attributes, until
from tests.support.waiting import PATIENCE_S

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
numbers = itertools.count()
HOSTILE: dict[str, Any] = {
    "a megabyte": {"traceparent": "x" * 1_000_000},
    "a megabyte of text": "x" * 1_000_000,
    "a megabyte of baggage": {"traceparent": TRACEPARENT, "baggage": "k=" + "v" * 1_000_000},
    "many fields": {f"field{n}": "1" for n in range(1000)},
    "a list": ["traceparent", TRACEPARENT],
    "nested": {"traceparent": {"traceparent": TRACEPARENT}},
    "names that are no text": {1: TRACEPARENT},
    "no traceparent": {"traceparent": "00-zz-zz-01"},
    "zeros": {"traceparent": f"00-{'0' * 32}-{'0' * 16}-01"},
    "nothing in it": {},
    "none": None,
}
ASIDE = (
    "gentrace: the trace context of a job is corrupt or too large and is left aside; "
    "the job runs as ever"
)


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What gentrace said but for its first line."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if "tracing as" not in line]


async def work(ctx: dict[str, Any]) -> dict[str, str]:
    return {"status": "submitted"}


def rewrite(host: SmallHost, **changes: Any) -> None:
    """Changes the queued job's payload; a value of ... takes the key out."""
    with redis.Redis(port=host.server.port) as client:
        key = f"arq:job:{queued(host)}"
        data = {**pickle.loads(client.get(key)), **changes}  # pyright: ignore[reportArgumentType]
        client.set(key, pickle.dumps({k: v for k, v in data.items() if v is not ...}))
        host.elsewhere()
        for name in client.scan_iter("gentrace:*"):
            client.delete(name)


async def queue_one(host: SmallHost, **entries: str) -> None:
    """A generation's job, of a request with this baggage."""
    given = ",".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in entries.items())
    host.client.headers.update({"baggage": given} if given else {})
    await host.create(f"lighthouse {next(numbers)}")


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


def held_back(host: SmallHost, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Awaitable[None]]:
    """From now on the store answers no read, until what is returned has been awaited."""
    reads, may_answer = host.session.engine.store.runs, threading.Event()
    read = reads._read

    def slowly(client: Any, generation_id: str | None) -> Run | None:
        may_answer.wait(PATIENCE_S)
        return read(client, generation_id)

    monkeypatch.setattr(reads, "_read", slowly)

    async def answer() -> None:
        may_answer.set()
        await until(lambda: not reads.is_unsure("1"))
        await asyncio.sleep(0.01)  # what the loop was handed is done

    return answer


@pytest.mark.parametrize("known", [False, True], ids=["nobody's", "known"])
@pytest.mark.parametrize("when", ["before it starts", "meanwhile", "after its end"])
async def test_whose_job_it_is_is_learnt_late(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch, when: str, known: bool
) -> None:
    """The store answers after the time that the host waits: with the run, or that there is none."""
    await queue_one(host)
    rewrite(host, **{carrier.KEY: ...})
    if known:
        parent = trace.SpanContext(0xAB, 0xCD, is_remote=True, trace_flags=trace.TraceFlags(1))
        host.session.engine.store.save(Run("1", parent=parent, owned=True))
        host.elsewhere()
    answer = held_back(host, monkeypatch)

    async def begins(_ctx: dict[str, Any]) -> None:
        if when == "before it starts":
            await answer()

    async def works(ctx: dict[str, Any]) -> dict[str, str]:
        if when == "meanwhile":
            await answer()
        assert (context.recording() is None) == (when == "after its end")
        return await work(ctx)

    async def ends(_ctx: dict[str, Any]) -> None:
        await answer()

    await host.work([job(works)], on_job_start=begins, on_shutdown=ends)
    assert told(host) == [("succeeded", 1, "UNSET")]
    span = host.one(JOB)
    assert attributes(span).get(names.INCOMPLETE) == (None if known else ("adopted",))
    assert (span.parent is None) == (not known)


async def test_a_fault_of_ours_then_is_not_the_jobs(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    def failing(_spans: JobSpans, _job: Any) -> None:
        raise RuntimeError("ours")

    async def works(ctx: dict[str, Any]) -> dict[str, str]:
        await answer()
        return await work(ctx)

    await queue_one(host)
    rewrite(host, **{carrier.KEY: ...})
    answer = held_back(host, monkeypatch)
    monkeypatch.setattr(JobSpans, "_learnt", failing)
    worker = await host.work([job(works)])
    assert (worker.jobs_complete, worker.jobs_failed) == (1, 0)
    assert {where for where, _ in swallowed} == {"hook arq worker"}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_carrier_is_left_aside_and_that_is_said_once(
    host: SmallHost, hostile: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []

    async def look(ctx: dict[str, Any]) -> None:
        seen.append(dict(baggage.get_all()))

    for _ in range(2):
        await queue_one(host)
        rewrite(host, **{carrier.KEY: hostile})
        worker = await host.work([job(look)])
        assert worker.jobs_complete == 1
    assert told(host) == [("succeeded", 1, "UNSET")] * 2
    for span in host.named(JOB):
        assert span.parent is None
        assert attributes(span)[names.INCOMPLETE] == ("adopted",)
    assert seen == [{}, {}]
    assert said(capsys) == [ASIDE]


async def test_a_carrier_that_is_well_formed_is_not_said(
    host: SmallHost, capsys: pytest.CaptureFixture[str]
) -> None:
    await queue_one(host)
    await host.work([job(work)])
    assert said(capsys) == []


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


@contextmanager
def sending(reader: carrier.Reader | None = None) -> Generator[dict[str, str]]:
    """Whatever is serialised in here is to carry a trace."""
    token = carrier.outgoing.set(carrier.Outgoing({"traceparent": TRACEPARENT}, reader))
    try:
        yield {"traceparent": TRACEPARENT}
    finally:
        carrier.outgoing.reset(token)


def test_both_serializers_agree_with_arqs_own() -> None:
    made = serialize_job("f", (1,), {"a": 2}, None, 3)
    kinds: tuple[tuple[Any, Any, Any], ...] = (
        (pickle.dumps, pickle.loads, None),
        (lambda data: json.dumps(data).encode(), json.loads, json.loads),
    )
    for dump, load, reader in kinds:
        with sending(reader) as sent:
            data = load(carrier.adding(dump)(pickle.loads(made)))
            assert data.pop(carrier.KEY) == sent
            assert {**data, "a": tuple(data["a"])} == pickle.loads(made)
    assert carrier.adding(pickle.dumps)(pickle.loads(made)) == made


def test_a_result_of_another_shape_is_serialized_as_it_is() -> None:
    with sending():
        for data in ([1], "text", None, {carrier.KEY: "the host's own"}):
            assert pickle.loads(carrier.adding(pickle.dumps)(data)) == data


def test_a_deserializer_that_refuses_unknown_keys_gets_the_plain_job() -> None:
    asked: list[int] = []

    def strict(payload: bytes) -> dict[str, Any]:
        data = pickle.loads(payload)
        asked.append(len(data))
        if data.keys() - {"t", "f", "a", "k", "et"}:
            raise ValueError("unknown keys")
        return data

    made = serialize_job("f", (1,), {"a": 2}, None, 3)
    with sending(strict):
        for _ in range(3):
            assert carrier.adding(pickle.dumps)(pickle.loads(made)) == made
    assert asked == [6]
    with sending(pickle.loads) as sent:
        assert pickle.loads(carrier.adding(pickle.dumps)(pickle.loads(made)))[carrier.KEY] == sent


def test_what_the_host_cannot_serialize_fails_as_it_always_did() -> None:
    with sending(), pytest.raises(SerializationError, match="unable to serialize job"):
        serialize_job("f", (), {}, None, 3, serializer=carrier.adding(_refusing))


def _refusing(_data: Any) -> bytes:
    raise TypeError("nothing of that kind")


# -- propagators ---------------------------------------------------------------------------


class B3(TextMapPropagator):
    """B3's single header, as its own propagator writes it."""

    def extract(self, carrier: Any, context: Any = None, getter: Any = default_getter) -> Context:
        found = (getter.get(carrier, "b3") or [""])[0].split("-")
        if len(found) != 3:
            return context or Context()
        flags = trace.TraceFlags(int(found[2]))
        place = trace.SpanContext(int(found[0], 16), int(found[1], 16), True, flags)
        return trace.set_span_in_context(trace.NonRecordingSpan(place), context)

    def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
        found = trace.get_current_span(context).get_span_context()
        sampled = int(found.trace_flags.sampled)
        setter.set(carrier, "b3", f"{found.trace_id:032x}-{found.span_id:016x}-{sampled}")

    @property
    def fields(self) -> set[str]:
        return {"b3"}


class Truncating(B3):
    """Keeps half of the trace id, as OpenTracing's did."""

    def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
        super().inject(carrier, context, setter)
        setter.set(carrier, "b3", carrier["b3"][16:])


class Failing(B3):
    """Fails half way."""

    def extract(self, carrier: Any, context: Any = None, getter: Any = default_getter) -> Context:
        raise OSError("not today")

    def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
        setter.set(carrier, "b3", "half")
        raise OSError("not today")


class Nothing(B3):
    """Gives nothing at all."""

    def extract(self, carrier: Any, context: Any = None, getter: Any = default_getter) -> Any:
        return None

    def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
        return


W3C = TraceContextTextMapPropagator()
PROPAGATORS: dict[str, tuple[TextMapPropagator, set[str]]] = {
    "tracecontext,baggage": (
        CompositePropagator([W3C, W3CBaggagePropagator()]),
        {"traceparent", "baggage"},
    ),
    "tracecontext": (W3C, {"traceparent"}),
    "b3": (B3(), {"b3"}),
    "b3,baggage": (CompositePropagator([B3(), W3CBaggagePropagator()]), {"b3", "baggage"}),
    "baggage": (CompositePropagator([W3CBaggagePropagator()]), {"traceparent", "baggage"}),
    "none": (CompositePropagator([]), {"traceparent"}),
    "none, oddly": (Nothing(), {"traceparent"}),
    "truncating": (Truncating(), {"b3", "traceparent"}),
    "failing": (Failing(), {"b3", "traceparent"}),
}


@pytest.mark.parametrize(("propagator", "fields"), PROPAGATORS.values(), ids=PROPAGATORS.keys())
async def test_the_hosts_propagators_decide_what_a_job_carries(
    host: SmallHost,
    monkeypatch: pytest.MonkeyPatch,
    propagator: TextMapPropagator,
    fields: set[str],
    capsys: pytest.CaptureFixture[str],
    swallowed: Swallowed,
) -> None:
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", propagator)
    seen: list[Any] = []

    async def look(ctx: dict[str, Any]) -> None:
        seen.append(dict(baggage.get_all()))

    await queue_one(host, tenant="blue")
    assert carried(host).keys() == fields
    rewrite(host)
    await host.work([job(look)])
    span = host.one(JOB)
    assert parent_of(span) == id_of(host.one(ENQUEUE))
    assert names.INCOMPLETE not in attributes(span)
    assert seen == [{"tenant": "blue"} if "baggage" in fields else {}]
    failing = isinstance(propagator, Failing)
    assert capsys.readouterr().err.count("the propagator failed with OSError") == failing
    assert {where for where, _ in swallowed} == ({"hook propagators"} if failing else set())


# -- baggage -------------------------------------------------------------------------------


def carried(host: SmallHost) -> dict[str, str]:
    """The carrier of the queued job."""
    with redis.Redis(port=host.server.port) as client:
        payload: Any = client.get(f"arq:job:{queued(host)}")
    return pickle.loads(payload)[carrier.KEY]


async def test_the_hosts_baggage_is_in_the_job_and_in_the_jobs_that_it_makes(
    host: SmallHost,
) -> None:
    seen: list[Any] = []

    async def look(ctx: dict[str, Any]) -> None:
        seen.append(dict(baggage.get_all()))
        if len(seen) == 1:
            await ctx["redis"].enqueue_job(JOB, generation_id=1)

    given = {"tenant": "blue, light", "user": "Zoë;a=b"}
    await queue_one(host, **given)
    await host.work([job(look)])
    assert seen == [given, given]
    assert baggage.get_all() == {}
    assert "blue" not in repr([span.to_json() for span in host.spans()])


async def test_no_request_of_a_job_gets_what_came_with_it(host: SmallHost) -> None:
    seen: list[dict[str, str]] = []

    async def look(ctx: dict[str, Any]) -> None:
        for propagator in (propagate, W3CBaggagePropagator()):
            for where in (None, otel_context.get_current()):
                seen.append({})
                propagator.inject(seen[-1], where)
        own = baggage.set_baggage("own", "1", baggage.set_baggage("user", "other"))
        seen.append({})
        propagate.inject(seen[-1], own)

    await queue_one(host, tenant="blue", user="bob")
    assert "tenant=blue" in carried(host)["baggage"]
    await host.work([job(look)])
    assert [headers.get("baggage") for headers in seen] == [None] * 4 + ["user=other,own=1"]
    headers: dict[str, str] = {}  # and elsewhere the host's requests are the host's
    propagate.inject(headers, baggage.set_baggage("tenant", "blue"))
    assert headers["baggage"] == "tenant=blue"


@pytest.mark.parametrize(
    ("given", "travel"),
    [
        ({f"entry{n}": "v" for n in range(100)}, [f"entry{n}" for n in range(64)]),
        ({"big": "v" * 4092, "small": "v"}, ["small"]),
        ({"first": "v" * 3000, "second": "é" * 600, "third": "w"}, ["first", "third"]),
    ],
    ids=["many", "too big", "too big together"],
)
async def test_baggage_is_capped_by_whole_entries(
    host: SmallHost,
    given: dict[str, str],
    travel: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[Any] = []

    async def look(ctx: dict[str, Any]) -> None:
        seen.append(dict(baggage.get_all()))

    for _ in range(2):
        await queue_one(host, **given)
        assert len(carried(host)["baggage"]) <= MAX_BYTES
        await host.work([job(look)])
    assert seen == [{name: given[name] for name in travel}] * 2
    assert said(capsys) == [
        f"gentrace: of {len(given)} baggage entries {len(travel)} travel with the job "
        "(at most 64, 4096 bytes)"
    ]


async def test_baggage_that_is_none_is_left_out_in_silence(
    host: SmallHost, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    async def look(ctx: dict[str, Any]) -> None:
        seen.append(dict(baggage.get_all()))

    await queue_one(host)
    odd = 'good=1, =2,no value,ünicode=3,quo"te=4,also = fine ,,k=v;p=1,' + "x," * 500
    rewrite(host, **{carrier.KEY: {**carried(host), "baggage": odd}})
    await host.work([job(look)])
    assert seen == [{"good": "1", "also": "fine", "k": "v;p=1"}]
    assert parent_of(host.one(JOB)) == id_of(host.one(ENQUEUE))
    assert not [record for record in caplog.records if "opentelemetry" in record.name]


fields = st.dictionaries(
    st.sampled_from(["traceparent", "tracestate", "baggage", "b3"]),
    st.text() | st.from_regex(r"([a-z]{1,3}=[^,]{0,9},?){0,9}") | st.just(TRACEPARENT),
)
anything = fields | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(anything)
@settings(deadline=None)
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
    assert isinstance(carrier.arrived(taken), Context)
    carrier.incoming.set(None)


def test_a_serializer_of_which_nobody_knows_the_reader_gets_the_plain_job() -> None:
    """A worker's reader that is strict would lose the job, in a worker without gentrace too."""
    data = {"t": None, "f": "f", "a": [1], "k": {}, "et": 3}
    with sending():
        assert json.loads(carrier.adding(lambda job: json.dumps(job).encode())(data)) == data
