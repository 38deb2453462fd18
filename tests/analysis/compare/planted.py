"""Runs with a known cause. The seed draws everything else: how wide the noise is, how large the
groups are, how many runs fail, and what goes along with what.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gentrace.analysis.compare.model import Finding, RunRow
from gentrace.core import names

START_NS = 1_790_000_000_000_000_000
TIMES = ("api", "queue", "worker", "provider_submit", "provider_run", "finish")
SHARE, FACTOR = 0.1, 2.0


@dataclass
class Draw:
    """Runs as they are before anything is planted; arrays by run, in the order of their start."""

    rng: np.random.Generator
    n: int
    start_s: np.ndarray
    text: dict[str, list[str]]
    times: dict[str, np.ndarray]
    failed: np.ndarray
    error: list[str]
    unfinished: np.ndarray
    truth: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def total(self) -> np.ndarray:
        """Seconds of each run."""
        return np.sum([*self.times.values()], axis=0)

    def some(self, share: float = SHARE) -> np.ndarray:
        """A share of the runs, of some models and users more than of others."""
        weights = np.ones(self.n)
        for name in (names.MODEL, names.USER_ID):
            liking = {v: self.rng.lognormal(0, 0.7) for v in sorted({*self.text[name]})}
            weights *= np.array([liking[v] for v in self.text[name]])
        size = round(self.n * share)
        found = np.zeros(self.n, dtype=bool)
        found[self.rng.choice(self.n, size, replace=False, p=weights / weights.sum())] = True
        return found

    def stretch(self, share: float = SHARE) -> np.ndarray:
        """Runs that follow each other."""
        size = round(self.n * share)
        first = int(self.rng.integers(0, self.n - size + 1))
        return (np.arange(self.n) >= first) & (np.arange(self.n) < first + size)

    def slow(self, rows: np.ndarray, time: str, factor: float = FACTOR) -> None:
        """Makes these runs take ``factor`` times as long, by that one of the times."""
        self.times[time] = self.times[time] + np.where(rows, (factor - 1) * self.total, 0.0)

    def give(self, name: str, value: str, rows: np.ndarray) -> None:
        """Gives these runs, and no others, the attribute's value."""
        others = sorted({*self.text[name]} - {value}) or ["other"]
        for row in range(self.n):
            if rows[row]:
                self.text[name][row] = value
            elif self.text[name][row] == value:
                self.text[name][row] = str(self.rng.choice(others))

    def follow(self, name: str, value: str, rows: np.ndarray) -> None:
        """An attribute that goes along with these runs, and is not their cause."""
        share = float(self.rng.uniform(0.3, 0.8))
        for row in np.flatnonzero(rows):
            if self.rng.random() < share:
                self.text[name][row] = value


def draw(seed: int, n: int = 400) -> Draw:
    """Runs with nothing planted."""
    rng = np.random.default_rng(seed)
    models = ["v4", "v4.5", "v5", "v5.5"][: int(rng.integers(2, 5))]
    operations = ["text_to_video", "image_to_video", "video_extend"][: int(rng.integers(1, 4))]
    weights = rng.dirichlet(np.full(len(models), 4.0))
    model = [str(m) for m in rng.choice(models, n, p=weights)]
    operation = [str(o) for o in rng.choice(operations, n)]
    base_m = dict(zip(models, rng.uniform(8, 60, len(models)), strict=True))
    base_o = dict(zip(operations, rng.uniform(0.7, 1.6, len(operations)), strict=True))
    accounts = [f"{k}" for k in range(1, int(rng.integers(5, 12)))]
    users = [f"u{k}" for k in range(1, int(rng.integers(4, 40)))]
    account_w = rng.dirichlet(np.full(len(accounts), 3.0))
    user_w = rng.dirichlet(np.full(len(users), 1.0))
    # some accounts are used for one model more than for another
    tilt = {m: rng.dirichlet(account_w * rng.uniform(4, 60) + 0.05) for m in models}
    account = [str(rng.choice(accounts, p=tilt[m])) for m in model]
    user = [str(u) for u in rng.choice(users, n, p=user_w)]
    favourite = {u: str(rng.choice(accounts)) for u in users}
    loyal = float(rng.uniform(0, 0.5))
    account = [
        favourite[u] if rng.random() < loyal else a for u, a in zip(user, account, strict=True)
    ]
    deployed = float(rng.uniform(0.3, 0.7))
    version = ["r1" if k < deployed * n else "r2" for k in range(n)]
    width = float(rng.uniform(0.12, 0.5))
    provider_run = np.array([base_m[m] * base_o[o] for m, o in zip(model, operation, strict=True)])
    provider_run = provider_run * np.exp(rng.normal(0, width, n))
    workers = [f"w{k}" for k in range(1, int(rng.integers(2, 6)))]
    times = {
        "api": rng.lognormal(-3, 0.4, n),
        "queue": rng.lognormal(-0.7, 0.8, n),
        "worker": rng.lognormal(-1.2, 0.5, n),
        "provider_submit": rng.lognormal(-0.5, 0.4, n),
        "provider_run": provider_run,
        "finish": rng.lognormal(-2.5, 0.4, n),
    }
    failed = rng.random(n) < rng.uniform(0.0, 0.1)
    codes = ["content_filtered", "provider_timeout", "quota_exceeded"]
    made = Draw(
        rng=rng,
        n=n,
        start_s=np.sort(rng.uniform(0, 24 * 3600, n)),
        text={
            names.OPERATION: operation,
            names.PROVIDER: ["pixverse"] * n,
            names.MODEL: model,
            names.ACCOUNT_ID: account,
            names.USER_ID: user,
            names.CODE_VERSION: version,
            names.DEDUP_RESULT: [str(d) for d in rng.choice(["miss", "off"], n, p=[0.8, 0.2])],
            names.CACHE_RESULT: [str(d) for d in rng.choice(["miss", "stale"], n, p=[0.9, 0.1])],
            names.PROCESSES: [f"a1,{w}" for w in rng.choice(workers, n)],
        },
        times=times,
        failed=failed,
        error=[str(c) for c in rng.choice(codes, n)],
        unfinished=np.zeros(n, dtype=bool),
    )
    # a failure comes early more often than late
    early = np.where(failed, rng.uniform(0.3, 1.0, n), 1.0)
    made.times["provider_run"] = made.times["provider_run"] * early
    return made


def rows(made: Draw) -> list[RunRow]:
    """The runs as they are read."""
    total = made.total
    last_s = made.start_s[-1] + 60
    found: list[RunRow] = []
    for k in range(made.n):
        goes_on = bool(made.unfinished[k])
        failed = bool(made.failed[k]) and not goes_on
        age = max(0.0, min(total[k] * 0.999, last_s - made.start_s[k]))
        text = {name: values[k] for name, values in made.text.items()}
        found.append(
            RunRow(
                id=str(k + 1),
                run=1,
                trace_id=f"{k + 1:032x}",
                start_ns=START_NS + int(made.start_s[k] * 1e9),
                duration_s=None if goes_on else float(total[k]),
                outcome=None if goes_on else "failed" if failed else "completed",
                seen_s=float(age if goes_on else total[k]),
                operation=text.pop(names.OPERATION),
                provider=text.pop(names.PROVIDER),
                model=text.pop(names.MODEL),
                times={} if goes_on else {time: float(v[k]) for time, v in made.times.items()},
                attributes=text,
                error_code=made.error[k] if failed else None,
                error_type="ProviderError" if failed else None,
                stage="provider" if failed or goes_on else "finished",
            )
        )
    return found


def slow_account(made: Draw) -> None:
    """One account of a tenth of the runs takes twice as long."""
    rows = made.some()
    made.give(names.ACCOUNT_ID, "77", rows)
    made.follow(names.USER_ID, "u1", rows)
    made.slow(rows, str(made.rng.choice(["provider_run", "provider_submit", "queue"])))
    made.truth = [("attribute", f"{names.ACCOUNT_ID}=77")]


def slow_version(made: Draw) -> None:
    """The code that the last tenth of the runs met takes twice as long in the worker."""
    rows = np.arange(made.n) >= made.n - round(made.n * SHARE)
    made.give(names.CODE_VERSION, "r3", rows)
    made.slow(rows, "worker")
    made.truth = [("attribute", f"{names.CODE_VERSION}=r3")]


def backlog(made: Draw) -> None:
    """For a while runs wait in the queue."""
    rows = made.stretch()
    made.follow(names.USER_ID, "u2", rows & made.some(0.3))
    made.slow(rows, "queue")
    made.truth = [("time", "queue")]


def waiting_half(made: Draw) -> None:
    """Most runs of the newer half wait in the queue; no deployment comes with it."""
    made.text[names.CODE_VERSION] = ["r1"] * made.n
    rows = (np.arange(made.n) >= made.n // 2) & (made.rng.random(made.n) < 0.6)
    made.times["queue"] = made.times["queue"] + np.where(rows, made.rng.uniform(15, 40, made.n), 0)
    made.truth = [("time", "queue")]


def slower_version(made: Draw) -> None:
    """The newer half's code takes seconds more in the worker, beside a long and wide render."""
    rows = np.arange(made.n) >= made.n // 2
    made.text[names.CODE_VERSION] = ["r2" if new else "r1" for new in rows]
    made.times["provider_run"] = made.rng.uniform(20, made.rng.uniform(50, 150), made.n)
    made.times["worker"] = made.times["worker"] + np.where(rows, made.rng.uniform(3, 6, made.n), 0)
    made.truth = [("attribute", f"{names.CODE_VERSION}=r2")]


def unfinished(made: Draw) -> None:
    """One slow account, and a third of its runs go on still."""
    slow_account(made)
    rows = np.array([a == "77" for a in made.text[names.ACCOUNT_ID]])
    made.unfinished = rows & (made.rng.random(made.n) < 1 / 3)


def heavy_tails(made: Draw) -> None:
    """One slow account, where a few runs of any take tens of times as long."""
    tail = np.minimum(made.rng.pareto(1.2, made.n) + 1, 200)
    struck = made.rng.random(made.n) < 0.15
    made.times["provider_run"] = made.times["provider_run"] * np.where(struck, tail, 1.0)
    slow_account(made)


def ties(made: Draw) -> None:
    """One slow account, where durations are multiples of a poller's pace."""
    pace = float(made.rng.choice([2.0, 5.0, 10.0]))
    for time in ("api", "queue", "worker", "provider_submit", "finish"):
        made.times[time] = np.zeros(made.n)
    slow_account(made)
    for time, spent in made.times.items():
        made.times[time] = np.ceil(spent / pace) * pace


def two_causes(made: Draw) -> None:
    """A slow account, and beside it a slow version or a backlog."""
    slow_account(made)
    first = [*made.truth]
    (slow_version if made.rng.random() < 0.5 else backlog)(made)
    made.truth = [*first, *made.truth]


def mix(made: Draw) -> None:
    """The newer half asks a slow model more often, or less, and nothing takes longer."""
    mix_towards(made, bool(made.rng.random() < 0.5))


def mix_towards(made: Draw, slower: bool) -> None:
    """The newer half asks for the slow model more often than the older one, or less."""
    often, rare = float(made.rng.uniform(0.6, 0.85)), float(made.rng.uniform(0.1, 0.3))
    newer = np.arange(made.n) >= made.n // 2
    heavy = made.rng.random(made.n) < np.where(newer == slower, often, rare)
    run = made.times["provider_run"]
    models = np.array(made.text[names.MODEL])
    usual = {m: float(np.median(run[models == m])) for m in sorted({*models.tolist()})}
    noise = run / np.array([usual[m] for m in models.tolist()])
    made.times["provider_run"] = noise * np.where(heavy, 40.0, 12.0)
    made.text[names.MODEL] = ["slow" if h else "fast" for h in heavy]
    made.truth = [("mix", names.MODEL)]


def model_error(made: Draw) -> None:
    """One model fails with an error of its own; a tenth of the runs do."""
    models = made.text[names.MODEL]
    counts = {m: models.count(m) for m in set(models)}
    fitting = [m for m in sorted(counts) if made.n * 0.12 < counts[m] < made.n * 0.75]
    model = str(made.rng.choice(fitting or [min(counts, key=lambda m: counts[m])]))
    of_model = np.flatnonzero([m == model for m in models])
    struck = made.rng.permutation(of_model)[: round(made.n * SHARE)]
    made.failed[struck] = True
    for row in struck:
        made.error[row] = "model_unavailable"
    made.truth = [("attribute", f"{names.MODEL}={model}")]


def nothing(made: Draw) -> None:
    """No cause."""


SLOW: dict[str, Callable[[Draw], None]] = {
    "one slow account": slow_account,
    "a queue backlog in a window": backlog,
    "most of the newer half waits": waiting_half,
    "the newer half's version takes seconds more": slower_version,
    "a mix shift with nothing slower": mix,
    "a slow code version": slow_version,
    "a third of the slow side unfinished": unfinished,
    "heavy tails": heavy_tails,
    "ties": ties,
    "two causes at once": two_causes,
    "nothing": nothing,
}
FAILING: dict[str, Callable[[Draw], None]] = {
    "an error of one model only": model_error,
    "nothing, failing": nothing,
}


def planted(
    scenario: Callable[[Draw], None], seed: int, n: int = 400
) -> tuple[list[RunRow], Sequence[tuple[str, str]]]:
    """Runs, and the causes that the first findings should name."""
    made = draw(seed, n)
    scenario(made)
    return rows(made), made.truth


def right(findings: Sequence[Finding], truth: Sequence[tuple[str, str]]) -> bool:
    """Whether the first findings are the causes, and where there is none, none was found."""
    told = [(f.kind, f"{f.name}={f.value}" if f.kind == "attribute" else f.name) for f in findings]
    return {*told[: len(truth)]} == {*truth} if truth else not told
