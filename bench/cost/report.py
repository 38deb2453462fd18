"""The tables of `make bench`: medians, in brackets the least and the greatest, ratios by round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from bench.cost.counting import Used
from bench.cost.driving import Driven
from bench.cost.environments import Environment
from bench.cost.startup import CASES, IMPORT, PASS, StartUps
from bench.cost.variants import NONE, OTEL, Way
from bench.measuring import Sample, ratios, table


def cpu(driven: Sequence[Driven]) -> str:
    """CPU a generation, and what came of it."""
    base = _base(driven)
    added = {each.way: median(_added_ms(each, base)) for each in driven}
    other = added.get(OTEL)
    rows: list[list[str]] = []
    for each in driven:
        counted, per = each.count(), each.generations
        ratio = ratios(_ms(each), _ms(base))
        plain = each is base
        beside = f"{added[each.way] / other:.2f}" if other and not plain else ""
        rows.append(
            [
                each.way.name,
                Sample(tuple(_ms(each))).shown(digits=1),
                "1.00" if plain else ratio.shown(),
                "" if plain else f"{added[each.way]:.1f}",
                beside,
                f"{counted.spans / per:.1f}",
                f"{counted.traces / per:.2f}",
                f"{counted.joined / per:.2f}",
            ]
        )
    head = ["tool", "CPU ms a generation", "÷ no tool", "adds ms"]
    return table([*head, f"÷ {OTEL.name}", "spans", "traces", "joined"], rows)


def beside(driven: Sequence[Driven]) -> str:
    """What else a generation costs, and what it costs that time goes by."""
    base = _base(driven)
    rows: list[list[str]] = []
    for each in driven:
        stretch = (each.idle_stretch[1] - each.idle_stretch[0]) / 1e9
        commands = median(used.commands for used in each.rounds)
        own = median(used.commands for used in base.rounds)
        api, worker = each.resident_mib
        rows.append(
            [
                each.way.name,
                f"{commands:.0f}",
                "" if each is base else f"{commands - own:+.0f}",
                _shown(each, lambda used: used.switches),
                str(each.payload),
                f"{each.idle.cpu_s * 100:.2f} %",
                f"{each.idle_spans() / stretch:.1f}",
                f"{each.idle.commands:.1f}",
                f"{api:.0f} + {worker:.0f}",
            ]
        )
    a_generation = ["Redis commands", "of them the tool's", "context switches", "payload bytes"]
    idle = ["idle CPU", "idle spans/s", "idle Redis commands/s"]
    return table(["tool", *a_generation, *idle, "MiB, API + worker"], rows)


def not_completed(driven: Sequence[Driven]) -> str:
    """Which hosts had generations that failed, which cost more or less than others; "" for none."""
    told: list[str] = []
    for each in driven:
        by_status = each.host.by_status()
        others = sum(by_status.values()) - by_status.get("completed", 0)
        if others:
            told.append(f"{each.way.name} {others}")
    return f"Generations that did not complete: {', '.join(told)}." if told else ""


def start(seen: Sequence[StartUps]) -> str:
    """CPU of a process's start, with the tool there and switched on."""
    base = next((each for each in seen if each.way is NONE), seen[0])
    rows: list[list[str]] = []
    for each in seen:
        row = [each.way.name]
        row += [Sample(tuple(each.ms[case])).shown(digits=1) for case in CASES]
        row.append(ratios(each.ms[IMPORT, True], base.ms[IMPORT, False]).shown())
        rows.append(row)
    named = [f"{code}, {'on' if on else 'off'}" for code, on in CASES]
    head = [name.replace(IMPORT, "the API").replace(PASS, "nothing") for name in named]
    return table(["CPU ms of a start", *head, "on ÷ no tool"], rows)


def versions(host: dict[str, str], ways: Sequence[tuple[Way, Environment]]) -> str:
    """The host's releases, which all share, and each tool's."""
    shared = ", ".join(f"{name} {release}" for name, release in host.items())
    found: dict[str, str] = {}
    for _, environment in ways:
        own = environment.versions()
        shown = [f"{name} {own[name]}" for name in environment.tool.shown]
        if shown:
            found[environment.tool.name] = ", ".join(shown)
    tools = "".join(f"\n- {name}: {told}" for name, told in found.items())
    return f"The host in every environment: {shared}.\n{tools}"


def _base(driven: Sequence[Driven]) -> Driven:
    return next((each for each in driven if each.way is NONE), driven[0])


def _ms(each: Driven) -> list[float]:
    return [used.cpu_s * 1000 for used in each.rounds]


def _added_ms(each: Driven, base: Driven) -> list[float]:
    return [mine - its for mine, its in zip(_ms(each), _ms(base), strict=True)]


def _shown(each: Driven, part: Callable[[Used], float]) -> str:
    return Sample(tuple(part(used) for used in each.rounds)).shown(digits=0)
