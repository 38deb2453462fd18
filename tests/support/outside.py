"""A service seen from outside: runs drawn one by one, with nothing of what the search assumes.

It shares no code and no distribution with ``tests/analysis/compare/planted.py``. Accounts and
models belong to providers, load follows the day, queue times hang together from one run to the
next, versions are rolled out over a while, and most attributes have nothing to say.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gentrace.analysis.compare.model import RunRow
from gentrace.core import names

BEGIN_S = 1_780_041_600.0
HOST, REGION, LENGTH, SEED, BATCH, RETRY = (
    f"shop.{word}" for word in ("host", "region", "prompt_length", "seed", "batch", "retry_kind")
)
"""Attributes of a host's own that nobody has told gentrace of."""
PARTS = ("api", "queue", "worker", "provider_submit", "provider_run", "finish")
_CODES = (
    "content_filtered",
    "provider_timeout",
    "quota_exceeded",
    "bad_parameters",
    "upstream_5xx",
)


@dataclass
class Made:
    """One run."""

    at_s: float
    text: dict[str, str]
    times: dict[str, float]
    failed: str = ""
    ended: bool = True

    @property
    def total_s(self) -> float:
        """How long it takes."""
        return sum(self.times.values())

    def add(self, part: str, seconds: float) -> None:
        """Lengthens one of its times."""
        self.times[part] = self.times.get(part, 0.0) + seconds


@dataclass
class World:
    """The service in one window of time; the seed draws how it is."""

    random: random.Random
    noise: Callable[[], float]
    hours: float
    load: float
    fails: float
    models: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    accounts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    runs: list[Made] = field(default_factory=list[Made])

    def some(self, runs: Sequence[Made], n: int) -> list[Made]:
        """So many of them, in no order."""
        return self.random.sample(list(runs), min(n, len(runs)))

    def having(self, name: str, value: str) -> list[Made]:
        """The runs with that attribute."""
        return [run for run in self.runs if run.text.get(name) == value]

    def shares(self, name: str) -> dict[str, float]:
        """How much each value is used."""
        told = [run.text[name] for run in self.runs if name in run.text]
        return {v: told.count(v) / len(self.runs) for v in sorted({*told})}


def _noise(draw: random.Random) -> Callable[[], float]:
    """A positive noise of mean 1, of one of four families."""
    family = draw.choice(("gamma", "weibull", "lognormal", "pareto"))
    if family == "gamma":
        shape = draw.uniform(3, 30)
        return lambda: draw.gammavariate(shape, 1 / shape)
    if family == "weibull":
        shape = draw.uniform(2, 6)
        mean = math.gamma(1 + 1 / shape)
        return lambda: draw.weibullvariate(1, shape) / mean
    if family == "lognormal":
        sigma = draw.uniform(0.15, 0.55)
        return lambda: draw.lognormvariate(-sigma * sigma / 2, sigma)
    alpha = draw.uniform(2.5, 6)
    return lambda: draw.paretovariate(alpha) * (alpha - 1) / alpha


def _zipf(draw: random.Random, values: Sequence[str], power: float) -> Callable[[], str]:
    weights = [1 / (k + 1) ** power for k in range(len(values))]
    return lambda: draw.choices(values, weights)[0]


def world(seed: int, n: int = 400, load: float | None = None, tied: float = 1.0) -> World:
    """Runs with nothing planted.

    Args:
        load: how many times longer the queue is at the busiest hour than at the quietest.
        tied: how strongly queue times hang together (0: not at all).
    """
    draw = random.Random(seed * 7919 + 13)
    made = World(
        random=draw,
        noise=_noise(draw),
        hours=draw.choice((5.0, 12.0, 24.0, 60.0, 168.0)),
        load=draw.uniform(1, 3) if load is None else load,
        fails=draw.uniform(0.03, 0.15),
    )
    providers = ["acme", "zenith", "nimbus"][: draw.choice((1, 2, 2, 3))]
    number = max(2 * len(providers), draw.randint(3, 30))
    for k, provider in enumerate(providers):
        made.models[provider] = [f"{provider[0]}-{v}" for v in range(1, draw.randint(2, 4))]
        made.accounts[provider] = [str(100 + a) for a in range(number) if a % len(providers) == k]
    base = {m: draw.uniform(10, 70) for each in made.models.values() for m in each}
    heavier = {"draw": 1.0, "extend": draw.uniform(1, 1.8), "still": draw.uniform(0.4, 1)}
    operations = sorted(heavier)[: draw.randint(1, 3)]
    users = [f"user-{k}" for k in range(draw.randint(60, 500))]
    likes = {u: (draw.choice(providers), draw.choice(operations)) for u in users}
    user = _zipf(draw, users, draw.uniform(0.6, 1.1))
    account = {p: _zipf(draw, a, draw.uniform(0, 1)) for p, a in made.accounts.items()}
    model = {p: _zipf(draw, m, draw.uniform(0, 1)) for p, m in made.models.items()}
    hosts = [f"host{k}" for k in range(draw.randint(2, 5))]
    queue_s, rho, width = draw.uniform(0.3, 1.5), draw.uniform(0.7, 0.95), draw.uniform(0.2, 0.5)
    parts = {
        "api": draw.uniform(0.02, 0.2),
        "worker": draw.uniform(0.2, 2),
        "provider_submit": draw.uniform(0.5, 3),
        "finish": draw.uniform(0.05, 0.5),
    }
    retried, waited = draw.uniform(0, 0.05), draw.uniform(0, 0.05)
    phase, level = draw.uniform(0, 24), 0.0
    versions = _versions(draw, made.hours, hosts)
    missing = {names.CODE_VERSION: draw.uniform(0, 0.1), names.USER_ID: draw.uniform(0, 0.05),
               REGION: draw.uniform(0.2, 0.6), RETRY: 0.7}  # fmt: skip
    for at_s in _starts(draw, n, made.hours, phase):
        who = user()
        provider, operation = likes[who] if draw.random() < 0.6 else (
            draw.choice(providers), draw.choice(operations))  # fmt: skip
        which, host = model[provider](), draw.choice(hosts)
        version, process = versions(at_s, host)
        level = tied * (rho * level + math.sqrt(1 - rho * rho) * draw.gauss(0, 1))
        busy = made.load ** (0.5 * (1 + math.sin(2 * math.pi * (at_s / 3600 + phase) / 24)))
        times = {part: seconds * made.noise() for part, seconds in parts.items()}
        times["queue"] = queue_s * busy * math.exp(width * level) * draw.expovariate(1)
        times["provider_run"] = base[which] * heavier[operation] * made.noise()
        text = {
            names.OPERATION: operation, names.PROVIDER: provider, names.MODEL: which,
            names.ACCOUNT_ID: account[provider](), names.USER_ID: who, names.CODE_VERSION: version,
            names.PROCESSES: f"{process},api-{version}", HOST: host,
            names.DEDUP_RESULT: draw.choice(("miss", "miss", "off")), names.TRIES: "1",
            names.ATTEMPTS: "1", names.REQUEUES: "0", REGION: draw.choice(("eu", "us", "ap")),
            LENGTH: str(draw.randint(5, 900)), SEED: str(draw.getrandbits(31)),
            BATCH: str(int(at_s // draw.uniform(900, 1100))), RETRY: draw.choice(("none", "user")),
        }  # fmt: skip
        run = Made(
            at_s, {k: v for k, v in text.items() if draw.random() >= missing.get(k, 0)}, times
        )
        _mishaps(draw, made, run, retried, waited)
        made.runs.append(run)
    return made


def _mishaps(draw: random.Random, made: World, run: Made, retried: float, waited: float) -> None:
    """Tries again, waits for an account, failures: what follows them is the run's, and no cause."""
    if draw.random() < retried:
        run.text |= {names.TRIES: "2", names.ATTEMPTS: "2"}
        run.add("retry_wait", draw.uniform(5, 40))
    if draw.random() < waited:
        run.text |= {names.REQUEUES: "1", names.WAIT_REASON: "no_account_available"}
        run.add("account_wait", draw.uniform(5, 60))
    if draw.random() < made.fails:
        run.failed = draw.choice(_CODES[: 1 + int(made.fails * 30)])
        run.times["provider_run"] *= draw.random()
    run.text[names.POLLS] = str(int(run.times["provider_run"] // 5))


def _versions(
    draw: random.Random, hours: float, hosts: Sequence[str]
) -> Callable[[float, str], tuple[str, str]]:
    """Which code and which process of a host meet a moment; hosts change over one by one."""
    deploys = sorted(draw.uniform(0.1, 0.85) * hours * 3600 for _ in range(draw.randint(0, 3)))
    late = {host: draw.uniform(0, 0.04) * hours * 3600 for host in hosts}
    shas = [f"{draw.getrandbits(28):07x}" for _ in range(len(deploys) + 1)]
    ids: dict[tuple[int, str], str] = {}

    def at(at_s: float, host: str) -> tuple[str, str]:
        count = sum(at_s >= deploy + late[host] for deploy in deploys)
        name = str(uuid.UUID(int=draw.getrandbits(128)))
        return shas[count], ids.setdefault((count, host), name)

    return at


def _starts(draw: random.Random, n: int, hours: float, phase: float) -> list[float]:
    """More by day than by night."""
    found: list[float] = []
    while len(found) < n:
        at_s = draw.uniform(0, hours * 3600)
        if draw.random() < 0.55 + 0.45 * math.sin(2 * math.pi * (at_s / 3600 + phase) / 24):
            found.append(at_s)
    return sorted(found)


def rows(made: World) -> list[RunRow]:
    """The runs as they are read: what has not ended has no times, and is as old as the window."""
    until_s = made.runs[-1].at_s + 30
    found: list[RunRow] = []
    for k, run in enumerate(made.runs):
        ended = run.ended and run.at_s + run.total_s <= until_s + 600
        text = {name: value for name, value in run.text.items() if ended or name != names.POLLS}
        failed = run.failed if ended else ""
        found.append(
            RunRow(
                id=str(5000 + k), run=1, trace_id=f"{7_000_000 + k:032x}",
                start_ns=int((BEGIN_S + run.at_s) * 1e9),
                duration_s=run.total_s if ended else None,
                outcome=None if not ended else "failed" if failed else "completed",
                seen_s=run.total_s if ended else max(0.0, until_s - run.at_s),
                operation=text.pop(names.OPERATION), provider=text.pop(names.PROVIDER),
                model=text.pop(names.MODEL), times=dict(run.times) if ended else {},
                attributes=text, error_code=failed or None,
                error_type="ShopError" if failed else None,
                stage="provider" if failed or not ended else "finished",
            )
        )  # fmt: skip
    return found
