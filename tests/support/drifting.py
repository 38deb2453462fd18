"""A busy service drawn at random: load and providers drift, times have heavy tails, values are few.

It shares no number and no code with the other two sets of planted runs. A run is drawn in three
steps, each of which a planted cause (``drifting_causes.py``) may change: what is asked, where the
time goes, whether it fails. ``drifting_spans.py`` writes it as the host would.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.support.drifting_spans import Fate, Request

HOUR_S = 3600.0
PROVIDERS = {"pixverse": 0.74, "sora": 0.26}
MODELS = {
    "pixverse": {"v5": 0.85, "v6": 0.15},
    "sora": {"sora-2": 0.55, "sora-2-pro": 0.45},
}
ACCOUNTS = {"pixverse": {"11": 0.6, "12": 0.4}, "sora": {"21": 1.0}}
OPERATIONS = {"text_to_video": 0.7, "image_to_video": 0.3}
RUN_S = {"v5": 31.0, "v6": 74.0, "sora-2": 96.0, "sora-2-pro": 150.0}
SPREAD = {"pixverse": 0.38, "sora": 0.5}  # of the logarithm of a provider's time
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat")
ERRORS = (
    ("content_filtered", "ContentFilteredError", "provider"),
    ("provider_timeout", "ProviderTimeoutError", "provider"),
    ("provider_quota", "ProviderQuotaError", "submitted"),
)


@dataclass(frozen=True)
class Cause:
    """What is planted; a step that is None stays as it is.

    Attributes:
        asked: changes what is asked, before anything happens.
        spent: changes the times of one run, in seconds by state.
        fails: the probability that a run fails, None where it is the usual one.
        deployed: where in the window (0 to 1) the version was deployed that is to blame.
    """

    asked: Callable[[Request, random.Random], None] | None = None
    spent: Callable[[Request, dict[str, float], random.Random], None] | None = None
    fails: Callable[[Request], float | None] | None = None
    deployed: float | None = None


def wandering(rng: random.Random, hours: int, spread: float, memory_h: float) -> list[float]:
    """Factors around 1, one an hour: a walk in their logarithms that is drawn back to 0."""
    keep = math.exp(-1 / memory_h)
    level = rng.gauss(0, spread)
    factors: list[float] = []
    for _ in range(hours + 1):
        factors.append(math.exp(level))
        level = keep * level + rng.gauss(0, spread * math.sqrt(1 - keep * keep))
    return factors


def one_of(rng: random.Random, shares: Mapping[str, float]) -> str:
    """A value drawn by its share."""
    return rng.choices([*shares], [*shares.values()])[0]


class Service:
    """The service over one window of a few days.

    Args:
        rng: draws everything.
        runs: how many requests come.
        hours: how long the window is.
        cause: what is planted.
    """

    def __init__(self, rng: random.Random, runs: int, hours: int, cause: Cause) -> None:
        self.rng, self.runs, self.hours, self.cause = rng, runs, hours, cause
        self.growth = rng.uniform(-0.3, 0.7)  # of the arrivals over the window
        self.load = wandering(rng, self.hours, 0.35, 5)
        self.pace = {name: wandering(rng, self.hours, 0.06, 9) for name in PROVIDERS}
        self.trend = {name: rng.uniform(-0.03, 0.06) for name in PROVIDERS}
        self.deploys = [rng.uniform(0.15, 0.85)]
        if cause.deployed is not None:
            self.deploys = [rng.uniform(0.12, 0.35), cause.deployed]
        self.versions = [f"{rng.getrandbits(28):07x}" for _ in range(3)]
        self.builds = (rng.uniform(0.2, 0.4), rng.uniform(0.6, 0.8))
        self.failing = rng.uniform(0.04, 0.08)
        self.users = [str(rng.randrange(100, 999)) for _ in range(14)]
        self.usual = {user: one_of(rng, PROVIDERS) for user in self.users}

    def busy(self, at_h: float) -> float:
        """The load at an hour: its walk, the time of the day, and the growth over the days."""
        daily = 1 + 0.6 * math.sin(2 * math.pi * (at_h - 9) / 24)
        return self.load[int(at_h)] * daily * (1 + self.growth * at_h / self.hours)

    def arrivals(self) -> list[float]:
        """When the requests come, in hours, by the load."""
        quarters = [quarter / 4 for quarter in range(4 * self.hours)]
        chosen = self.rng.choices(quarters, [self.busy(at) for at in quarters], k=self.runs)
        return sorted(at + self.rng.random() / 4 for at in chosen)

    def asked(self, number: int, at_h: float) -> Request:
        """What one request asks for, and what else the host notes with it."""
        rng, part = self.rng, at_h / self.hours
        user = self.users[min(int(rng.paretovariate(0.9)), len(self.users)) - 1]
        provider = self.usual[user] if rng.random() < 0.3 else one_of(rng, PROVIDERS)
        version = self.versions[sum(part >= deployed for deployed in self.deploys)]
        request = Request(
            number=number,
            at_s=at_h * HOUR_S,
            part=part,
            rank=number / self.runs,
            provider=provider,
            model=one_of(rng, MODELS[provider]),
            account=one_of(rng, ACCOUNTS[provider]),
            operation=one_of(rng, OPERATIONS),
            user=user,
            version=version,
            worker=f"{version[:3]}-{rng.randrange(3)}",
            noted={
                "app.new_player": "on" if rng.random() < 0.1 + 0.8 * part else "off",
                "app.build": str(208 + sum(part >= at for at in self.builds)),
                "app.weekday": DAYS[int(at_h / 24) % len(DAYS)],
                "app.sequence": 40_000 + number,
                "app.prompt_chars": int(rng.lognormvariate(4.6, 0.8)),
                "app.region": ("eu", "us", "asia")[int(user) % 3],
            },
        )
        if self.cause.asked is not None:
            self.cause.asked(request, rng)
        return request

    def spent(self, request: Request) -> dict[str, float]:
        """Seconds by state of a run that goes well at the first try."""
        rng, at_h, provider = self.rng, request.at_s / HOUR_S, request.provider
        run_s = RUN_S[request.model] * rng.lognormvariate(0, SPREAD[provider])
        run_s *= self.pace[provider][int(at_h)] * (1 + self.trend[provider] * request.part)
        run_s *= 1.12 if request.operation == "image_to_video" else 1.0
        if rng.random() < 0.05:
            run_s *= min(rng.paretovariate(1.4), 20.0)
        times = {
            "api": 0.03 * rng.lognormvariate(0, 0.5),
            "queue": 0.5 * self.busy(at_h) * rng.lognormvariate(0, 0.9),
            "worker": 1.3 * rng.lognormvariate(0, 0.6),
            "provider_submit": 0.9 * rng.lognormvariate(0, 0.5),
            "provider_run": run_s,
            "finish": 0.2 * rng.lognormvariate(0, 0.7),
        }
        if rng.random() < 0.05:
            times["account_wait"] = min(4 * rng.paretovariate(1.5), 240.0)
        if self.cause.spent is not None:
            self.cause.spent(request, times, rng)
        return times

    def fate(self, request: Request) -> Fate:
        """How the run goes: its times, its tries, its end."""
        rng, times = self.rng, self.spent(request)
        fate = Fate(times)
        while fate.tries < 4 and rng.random() < 0.06:
            fate.tries += 1
            times["retry_wait"] = times.get("retry_wait", 0.0) + 14 * rng.lognormvariate(0, 0.6)
            times["provider_submit"] += 0.9 * rng.lognormvariate(0, 0.5)
        chance, odds = rng.random(), None
        if self.cause.fails is not None:
            odds = self.cause.fails(request)
        if chance < 0.02:
            fate.outcome = "refused"
        elif chance < 0.05:
            fate.outcome = "cancelled"
            times["provider_run"] *= rng.random()
        elif chance < 0.06:
            fate.outcome = None  # lost: nobody ever ends it
        elif rng.random() < (self.failing if odds is None else odds):
            fate.outcome, fate.error = "failed", rng.choice(ERRORS)
            code, _, stage = fate.error
            late = code == "provider_timeout"
            times["provider_run"] *= rng.uniform(1.5, 2.5) if late else rng.uniform(0.2, 0.9)
            if stage == "submitted":
                del times["provider_run"]
        return fate

    def drawn(self) -> Iterator[tuple[Request, Fate]]:
        """Every request with its fate; what would end after the window has not ended."""
        for number, at_h in enumerate(self.arrivals()):
            request = self.asked(number, at_h)
            fate = self.fate(request)
            if request.at_s + sum(fate.times.values()) > self.hours * HOUR_S:
                fate.outcome = None
            yield request, fate
