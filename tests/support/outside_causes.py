"""What is planted into ``tests/support/outside.py``, and how the JSON answer is judged."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from gentrace.core import names
from tests.support.outside import HOST, PARTS, Made, World, world

Truth = Sequence[tuple[str, str, str | None]]
"""Kind, name and value of each cause; the value None: any."""
EITHER = "model or provider"
Case = Callable[[int], tuple[World, Truth]]


def give(made: World, name: str, value: str, runs: Sequence[Made], avoid: str = "") -> None:
    """These runs carry the value, and what others of it there were carry another of theirs."""
    chosen = {id(run) for run in runs}
    for run in made.having(name, value):
        if id(run) not in chosen:
            if name == names.ACCOUNT_ID:
                others = [
                    a for a in made.accounts[run.text[names.PROVIDER]] if a not in (value, avoid)
                ]
            else:
                others = sorted(made.shares(name).keys() - {value})
            run.text[name] = made.random.choice(others or ["spare"])
    for run in runs:
        run.text[name] = value


def account(made: World, share: float = 0.1, avoid: str = "") -> tuple[str, list[Made]]:
    """An account of a much used provider, with that share of all runs."""
    used = made.shares(names.PROVIDER)
    provider = max(sorted(used), key=lambda p: used[p])
    own = made.having(names.PROVIDER, provider)
    value = made.random.choice([a for a in made.accounts[provider] if a != avoid])
    left = [run for run in own if run.text[names.ACCOUNT_ID] != avoid]
    chosen = made.some(left, round(share * len(made.runs)))
    give(made, names.ACCOUNT_ID, value, chosen, avoid)
    return value, chosen


def slow_account(how: str) -> Callable[[World], Truth]:
    """An account whose provider's time, or whole time, doubles, or that adds so many seconds."""

    def plant(made: World) -> Truth:
        value, chosen = account(made)
        usual = statistics.median(run.total_s for run in made.runs)
        for run in chosen:
            match how:
                case "provider_run":
                    run.add(how, run.times[how])
                case "total":
                    run.times = {part: 2 * spent for part, spent in run.times.items()}
                case _:
                    run.add("provider_submit", usual)
        return [("attribute", names.ACCOUNT_ID, value)]

    return plant


def of_one(name: str) -> Callable[[World], Truth]:
    """A slow account that mostly one user (or one model's users) works with."""

    def plant(made: World) -> Truth:
        value, chosen = account(made)
        used = made.shares(name)
        own = [run.text[name] for run in chosen if name in run.text]
        favourite = max(sorted({*own}), key=lambda v: used[v])
        for run in chosen:
            if made.random.random() < 0.75:
                run.text[name] = favourite
        for run in chosen:
            run.add("provider_run", run.total_s)
        return [("attribute", names.ACCOUNT_ID, value)]

    return plant


def unfinished(made: World) -> Truth:
    """A third of the slow account's runs never ends."""
    truth = slow_account("total")(made)
    value = truth[0][2]
    for run in made.having(names.ACCOUNT_ID, value or ""):
        run.ended = made.random.random() >= 1 / 3
    return truth


def heavy(made: World) -> Truth:
    """Any run may take many times as long."""
    truth = slow_account("total")(made)
    for run in made.runs:
        run.times["provider_run"] *= min(made.random.paretovariate(1.3), 300.0)
    return truth


def ties(made: World) -> Truth:
    """Whole seconds, or a poller's pace."""
    truth = slow_account("total")(made)
    pace = made.random.choice((1, 1, 5))
    for run in made.runs:
        run.times = {p: float(round(spent / pace) * pace) for p, spent in run.times.items()}
    return truth


def version(part: str, factor: float = 0.0) -> Callable[[World], Truth]:
    """New code on the last tenth, mixed with the old while hosts change over.

    With ``factor`` only that part takes so many times as long; else the whole takes twice.
    """

    def plant(made: World) -> Truth:
        n = len(made.runs)
        first = round(0.88 * n)
        chosen = [
            run for k, run in enumerate(made.runs)
            if k >= first and made.random.random() < (0.6 if k < first + 0.04 * n else 1.0)
        ]  # fmt: skip
        for run in chosen:
            run.text[names.CODE_VERSION] = "beefca7"
            run.text[names.PROCESSES] = f"5b1c-{run.text[HOST]},api-beefca7"
        if factor:
            for run in made.runs:
                run.times[part] = 0.25 * run.times["provider_run"] + run.times[part]
        for run in chosen:
            run.add(part, (factor - 1) * run.times[part] if factor else run.total_s)
        return [("attribute", names.CODE_VERSION, "beefca7")]

    return plant


def backlog(made: World) -> Truth:
    """A tenth of the runs wait, the more the nearer to the middle, or all alike."""
    n = len(made.runs)
    size = n // 10
    first = made.random.randrange(n - size)
    usual = statistics.median(run.total_s for run in made.runs)
    ramp = made.random.random() < 0.5
    for k, run in enumerate(made.runs[first : first + size]):
        height = 2 * min(k + 1, size - k) / size if ramp else 1.0
        run.add("queue", usual * height * made.random.uniform(0.8, 1.2))
    return [("time", "queue", None)]


def host(made: World) -> Truth:
    """A machine of a tenth of the runs, known by an attribute of the host's own."""
    chosen = made.some(made.runs, len(made.runs) // 10)
    for run in chosen:
        run.text[HOST] = "host9"
        run.add("worker", run.total_s)
    return [("attribute", HOST, "host9")]


def mix(made: World) -> Truth:
    """One model goes from a fifth to three fifths in the newer half; each takes what it took."""
    used = made.shares(names.PROVIDER)
    provider = max(sorted(used), key=lambda p: used[p])
    slower = made.random.random() < 0.5
    fast, slow = 12.0, 12.0 * made.random.uniform(2, 4)
    ours, other = (slow, fast) if slower else (fast, slow)
    for k, run in enumerate(made.runs):
        share = 0.2 if 2 * k < len(made.runs) else 0.6
        mine = made.random.random() < share
        run.text |= {names.PROVIDER: provider, names.MODEL: "m-new" if mine else "m-old"}
        run.text[names.ACCOUNT_ID] = made.random.choice(made.accounts[provider])
        run.times["provider_run"] = (ours if mine else other) * made.noise()
    return [("mix", names.MODEL, None)]


def both(*causes: Callable[[World], Truth]) -> Callable[[World], Truth]:
    """Several at once."""
    return lambda made: [each for cause in causes for each in cause(made)]


def two_accounts(made: World) -> Truth:
    """Two slow accounts of one provider."""
    truth = slow_account("total")(made)
    value, chosen = account(made, avoid=truth[0][2] or "")
    for run in chosen:
        run.add("provider_submit", run.total_s)
    return [*truth, ("attribute", names.ACCOUNT_ID, value)]


def model_error(code: str, at_one: bool = False) -> Callable[[World], Truth]:
    """A tenth of the runs fail, all of one model; others fail as often as ever.

    With ``at_one`` another provider offers a model of the same name, which does not fail.
    """

    def plant(made: World) -> Truth:
        used = {k: v for k, v in made.shares(names.MODEL).items() if v < 0.7}
        model = max(sorted(used), key=lambda m: used[m]) if used else "x-1"
        if not used:
            for run in made.some(made.runs, round(0.4 * len(made.runs))):
                run.text[names.MODEL] = model
        own = made.having(names.MODEL, model)
        struck = made.some(own, min(len(made.runs) // 10, len(own) * 2 // 3))
        for run in struck:
            run.failed = code
        if at_one:
            others = [run for run in made.runs if run.text[names.MODEL] != model]
            for run in made.some(others, len(own) // 2):
                run.text |= {names.MODEL: model, names.PROVIDER: "other"}
        return [("attribute", EITHER, None) if at_one else ("attribute", names.MODEL, model)]

    return plant


def nothing(made: World) -> Truth:
    """No cause."""
    return []


def case(plant: Callable[[World], Truth], **how: float) -> Case:
    """A seed's runs with that planted."""

    def make(seed: int) -> tuple[World, Truth]:
        made = world(seed, **how)  # type: ignore[arg-type]
        return made, plant(made)

    return make


SLOW: dict[str, Case] = {
    "account, provider's time 2x": case(slow_account("provider_run")),
    "account, all of its time 2x": case(slow_account("total")),
    "account, a constant added": case(slow_account("constant")),
    "account, mostly of one user": case(of_one(names.USER_ID)),
    "account, mostly of one operation": case(of_one(names.OPERATION)),
    "account, a third unfinished": case(unfinished),
    "account, heavy tails": case(heavy),
    "account, ties": case(ties),
    "version, whole 2x in worker": case(version("worker")),
    "version, whole 2x in submit": case(version("provider_submit")),
    "version, only submit 3x": case(version("provider_submit", 3.0)),
    "backlog": case(backlog),
    "backlog, load 5x by the day": case(backlog, load=5.0),
    "own attribute (a machine)": case(host),
    "mix of models": case(mix),
    "account and backlog": case(both(slow_account("total"), backlog)),
    "account and version": case(both(slow_account("total"), version("worker"))),
    "two accounts": case(two_accounts),
    "nothing": case(nothing),
    "nothing, independent queue": case(nothing, tied=0.0, load=1.0),
    "nothing, load 5x by the day": case(nothing, load=5.0),
    "nothing, load 12x by the day": case(nothing, load=12.0),
}
FAILING: dict[str, Case] = {
    "model, an error of its own": case(model_error("model_unavailable")),
    "model, an error others have": case(model_error("content_filtered")),
    "model at one provider": case(model_error("model_unavailable", at_one=True)),
    "nothing": case(nothing),
}


def right(answer: Any, truth: Truth) -> bool:
    """Whether the first findings are the causes, or there is none where there is no cause."""
    found = answer["findings"]
    if not truth:
        return not found
    first = [(f["kind"], f["name"], f["value"]) for f in found[: len(truth)]]
    return len(first) == len(truth) and all(
        any(told[:2] in spellings(cause) and cause[2] in (None, told[2]) for told in first)
        for cause in truth
    )


def spellings(cause: tuple[str, str, str | None]) -> set[tuple[str, str]]:
    """An error of one model at one provider may be told by either."""
    kind, name, _ = cause
    return {(kind, n) for n in ((names.MODEL, names.PROVIDER) if name == EITHER else (name,))}


__all__ = ["FAILING", "PARTS", "SLOW", "Truth", "right"]
