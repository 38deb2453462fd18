"""What is planted in the drifting service, and which findings name it.

Each size is one that a person who looks at the runs would call clear, and none is absurd.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from gentrace.core.spans import Trace
from tests.support.drifting import Cause, Service
from tests.support.drifting_spans import Request, trace_of

Named = tuple[str, str, str | None]
"""Of a finding: kind, name, value; the value None stands for any."""


@dataclass(frozen=True)
class Planted:
    """Runs with one cause in them, or none.

    Attributes:
        named: the findings of which the first has to be one; empty where there is nothing to find.
    """

    traces: tuple[Trace, ...]
    named: frozenset[Named] = field(default_factory=frozenset[Named])


Truth = Callable[[Service], frozenset[Named]]
Plan = Callable[[random.Random, int], tuple[Cause, Truth]]
"""Given the length of the window in hours: what is planted, and what names it."""


def _account(rng: random.Random, hours: int) -> tuple[Cause, Truth]:
    """One of the provider's two accounts takes 1.6 to 2 times as long."""
    slow, factor = rng.choice(("11", "12")), rng.uniform(1.6, 2.0)

    def spent(request: Request, times: dict[str, float], rng: random.Random) -> None:
        if request.account == slow:
            times["provider_run"] *= factor

    return Cause(spent=spent), lambda _: frozenset({("attribute", "generation.account.id", slow)})


def _queue(rng: random.Random, hours: int) -> tuple[Cause, Truth]:
    """For a third to two thirds of the newer half some 30 s of queueing are added.

    It begins on one day and ends on the next: of a whole day the weekday would tell as much.
    """
    midnights = [at / hours for at in range(24, hours, 24) if 0.58 <= at / hours <= 0.92]
    middle = rng.choice(midnights)
    half = min(rng.uniform(0.085, 0.165), middle - 0.51, 0.99 - middle)
    usual_s = rng.uniform(24, 40)

    def spent(request: Request, times: dict[str, float], rng: random.Random) -> None:
        if abs(request.part - middle) <= half:
            times["queue"] += usual_s * rng.lognormvariate(0, 0.5)

    return Cause(spent=spent), lambda _: frozenset({("time", "queue", None)})


def _mix(rng: random.Random, hours: int) -> tuple[Cause, Truth]:
    """The slower model of the larger provider goes from 15 % of its requests to 50 to 65 %.

    It does so near the middle of the requests, which is not the middle of the time.
    """
    since, share = rng.uniform(0.46, 0.54), rng.uniform(0.42, 0.58)

    def asked(request: Request, rng: random.Random) -> None:
        if request.rank >= since and request.model == "v5" and rng.random() < share:
            request.model = "v6"

    return Cause(asked=asked), lambda _: frozenset(
        {("mix", "generation.model", "v6"), ("mix", "generation.model", "v5")}
    )


def _version(rng: random.Random, hours: int) -> tuple[Cause, Truth]:
    """A version deployed near the middle adds some 14 s of worker time to every run."""
    deployed, added_s = rng.uniform(0.45, 0.58), rng.uniform(11, 18)

    def spent(request: Request, times: dict[str, float], rng: random.Random) -> None:
        if request.part >= deployed:
            times["worker"] += added_s * rng.lognormvariate(0, 0.4)

    return Cause(spent=spent, deployed=deployed), lambda service: frozenset(
        {("attribute", "generation.code.version", service.versions[2])}
    )


def _failing_model(rng: random.Random, hours: int) -> tuple[Cause, Truth]:
    """One of the less used models fails in some half of its runs."""
    model, odds = rng.choice(("v6", "sora-2-pro")), rng.uniform(0.42, 0.6)

    def fails(request: Request) -> float | None:
        return odds if request.model == model else None

    return Cause(fails=fails), lambda _: frozenset({("attribute", "generation.model", model)})


def _nothing(rng: random.Random, hours: int) -> tuple[Cause, Truth]:
    """Nothing but drift, tails and noise."""
    return Cause(), lambda _: frozenset()


SLOW: dict[str, Plan] = {
    "slow account": _account,
    "queue wait for a while": _queue,
    "mix of models": _mix,
    "version": _version,
    "nothing": _nothing,
}
FAILING: dict[str, Plan] = {"failing model": _failing_model, "nothing": _nothing}


def planted(name: str, plan: Plan, seed: int) -> Planted:
    """The runs of one plan: 350 to 700 requests over two to six days, the same for a seed."""
    label = f"drifting {name} {seed}"
    rng = random.Random(label)
    hours = round(24 * rng.uniform(2.5, 6.0))
    cause, truth = plan(rng, hours)
    service = Service(rng, rng.randrange(350, 700), hours, cause)
    found = tuple(trace_of(label, request, fate) for request, fate in service.drawn())
    return Planted(found, truth(service))
