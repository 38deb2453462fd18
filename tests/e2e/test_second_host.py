"""Another host, served by a profile alone: the print shop of examples/, with its own processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from gentrace.analysis import generations
from gentrace.analysis.compare import pairs
from gentrace.analysis.filters import Filter
from gentrace.analysis.runs import Run
from gentrace.core.run.times import State
from gentrace.sources import open_source
from tests.e2e import reading
from tests.support.otlp_receiver import Span
from tests.support.print_shop import INTAKE, PRESS_ROOM, PrintShop, print_shop
from tests.support.waiting import eventually

SERVER_SPAN = "POST /orders"
OWN = {"create_generation", "enqueue process_generation", "process_generation", "provider.execute"}
QUEUES = {"take_in": "pressroom:intake", "run_press": "pressroom:press"}
Outcome = tuple[str | None, str | None]


def read(shop: PrintShop) -> dict[str | None, Run]:
    """The runs by id, as the commands see them."""
    found = generations.listing(open_source(str(shop.spool)), Filter(), routes=["/orders"])
    return {run.id: run for run in found.runs}


def spans_by_order(shop: PrintShop, orders: Iterable[str]) -> dict[str, list[Span]]:
    """Each order's spans, which are one trace of its own with the request on top."""
    spans = reading.spooled(shop.spool)
    found = {order: reading.of_generation(spans, order) for order in orders}
    for members in found.values():
        assert [root["name"] for root in reading.roots(members)] == [SERVER_SPAN]
        assert reading.orphans(members) == []
    assert len({members[0]["trace_id"] for members in found.values()}) == len(found)
    return found


def seconds(run: Run) -> Mapping[State, float]:
    """Where its time went; it all went somewhere."""
    times = run.times
    assert sum(times.spent_ns.values()) == pytest.approx(run.duration_ns, abs=1000)
    return {state: ns / 1e9 for state, ns in times.spent_ns.items()}


def ended(shop: PrintShop) -> set[str]:
    """The orders whose run has its span."""
    spans = reading.spooled(shop.spool)
    return {str(s["attributes"]["generation.id"]) for s in spans if s["name"] == "generation"}


@pytest.fixture(scope="module")
def day(anything_failed: Callable[[], bool]) -> Any:
    """One day at the shop: an order of each fate, and what was written of it."""
    with print_shop(anything_failed) as shop:
        withdrawn = shop.place("nobody waits for this")
        assert shop.withdraw(withdrawn)
        refused = shop.post("a flag", paper="silk")
        assert refused.status_code == 409
        shop.start_worker(INTAKE)
        shop.start_worker(PRESS_ROOM)
        orders = {
            "good": shop.place("an ode"),
            "smudged": shop.place("a SMUDGED letter"),
            "jam": shop.place("a leaflet, JAM1"),
        }
        states = shop.wait_over(orders.values())
        assert states == ["DONE", "REJECTED", "DONE"]
        orders["withdrawn"] = withdrawn
        eventually(lambda: ended(shop) >= set(orders.values()))
        shop.stop()
        yield shop, orders


def test_each_order_is_one_trace_across_counter_and_both_workers(
    day: tuple[PrintShop, dict[str, str]],
) -> None:
    shop, orders = day
    printed = [orders[fate] for fate in ("good", "smudged", "jam")]
    for members in spans_by_order(shop, printed).values():
        assert reading.names(members) >= OWN
        assert reading.services(members) == {"pressroom-api", "pressroom-worker"}
        assert len({span["resource"]["service.instance.id"] for span in members}) == 3
        queued = {
            (span["kind"], span["attributes"]["code.function.name"]): span["attributes"][
                "messaging.destination.name"
            ]
            for span in members
            if span["kind"] in ("PRODUCER", "CONSUMER")
        }
        for kind in ("PRODUCER", "CONSUMER"):
            assert {f: queued[kind, f] for f in QUEUES} == QUEUES


def test_an_order_is_found_by_its_number_however_it_is_spelt(
    day: tuple[PrintShop, dict[str, str]],
) -> None:
    shop, orders = day
    source = open_source(str(shop.spool))
    for order in orders.values():
        assert len(order) == 36
        for spelling in (order, order.upper(), order.replace("-", "")):
            found = generations.find(source, spelling, ["/orders"])
            assert {run.id for run in found} == {order}
    a, b = pairs.choose(source, orders["good"], orders["jam"].replace("-", ""), ["/orders"])
    assert (a.id, b.id) == (orders["good"], orders["jam"])


def test_ends_have_one_word_whatever_the_hosts(day: tuple[PrintShop, dict[str, str]]) -> None:
    shop, orders = day
    runs = read(shop)
    ends: dict[str, Outcome] = {
        fate: (runs[order].outcome, runs[order].error_code) for fate, order in orders.items()
    }
    assert ends == {
        "good": ("completed", None),
        "smudged": ("failed", "illegible"),
        "jam": ("completed", None),
        "withdrawn": ("cancelled", None),
    }
    (good,) = spans_by_order(shop, [orders["good"]]).values()
    set_to = [
        (told["generation.status"], told.get("generation.outcome"))
        for span in good
        for event in span["events"]
        if event["name"] == "generation.status" and (told := attributes(event))
    ]
    assert sorted(set_to, key=str) == [("done", "completed"), ("running", None)]


def attributes(event: Mapping[str, Any]) -> dict[str, Any]:
    """A spooled event's attributes."""
    return reading._attributes(event["attributes"])


def test_a_synchronous_providers_time_is_submission(
    day: tuple[PrintShop, dict[str, str]],
) -> None:
    shop, orders = day
    run = read(shop)[orders["good"]]
    spent = seconds(run)
    assert spent[State.PROVIDER_SUBMIT] >= 0.15
    assert spent.get(State.PROVIDER_RUN, 0) == 0
    assert State.FINISH in spent
    execute = reading.only(reading.spooled_of(shop.spool, orders["good"]), "provider.execute")
    assert execute["attributes"]["generation.provider.status"] == "printed"
    assert execute["attributes"]["generation.provider.over"] is True


def test_a_jam_is_tried_again_in_the_same_run(day: tuple[PrintShop, dict[str, str]]) -> None:
    shop, orders = day
    run = read(shop)[orders["jam"]]
    assert run.number == 1
    assert seconds(run)[State.RETRY_WAIT] >= 0.25
    tries = [
        span["attributes"]["generation.job.outcome"]
        for span in reading.spooled_of(shop.spool, orders["jam"])
        if span["kind"] == "CONSUMER" and span["attributes"]["code.function.name"] == "run_press"
    ]
    assert tries == ["retry", "succeeded"]


def test_a_refused_order_is_a_request_without_a_run(
    day: tuple[PrintShop, dict[str, str]],
) -> None:
    shop, _ = day
    run = read(shop)[None]
    assert (run.http_status, run.outcome) == (409, None)
    assert (run.error_code, run.model) == ("no_such_paper", "silk")


def test_each_queue_has_its_own_wait(anything_failed: Callable[[], bool]) -> None:
    with print_shop(anything_failed) as shop:
        intake = shop.start_worker(INTAKE)
        order = shop.place("an ode")
        intake.wait_for("passed on")
        passed_s = time.time()
        shop.start_worker(PRESS_ROOM)  # an interpreter's start takes a while
        shop.wait_over([order])
        eventually(lambda: order in ended(shop))
        shop.stop()
        spent = seconds(read(shop)[order])
        members = spans_by_order(shop, [order])[order]
    sent, begun = (
        next(
            span
            for span in members
            if span["kind"] == kind and span["attributes"]["code.function.name"] == "run_press"
        )
        for kind in ("PRODUCER", "CONSUMER")
    )
    assert sent["end_ns"] / 1e9 <= passed_s < begun["start_ns"] / 1e9
    assert spent[State.QUEUE] >= 0.8 * (begun["start_ns"] - sent["end_ns"]) / 1e9
