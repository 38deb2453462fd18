"""What gentrace costs the small host, beside the tools that one could take instead: `make bench`.

    python -m bench.cost [--quick] [--rounds N] [--generations N] [--idle SECONDS]
                         [--start-ups N] [--only NAME ...] [--write docs/cost.md]

It makes the environments that are missing (a minute each, once), runs all hosts side by side, and
prints Markdown; then `python -m bench.micro`. `--write` puts the same between the marks of a page.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from bench.cost import driving, report, startup
from bench.cost.environments import Environment, Unequal, environment, of_host
from bench.cost.variants import ALL, Way
from bench.measuring import machine

Ways = Sequence[tuple[Way, Environment]]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Amount(NamedTuple):
    """How much is measured."""

    rounds: int
    generations: int
    idle_s: float
    start_ups: int
    micro: tuple[str, ...]


WHOLE = Amount(rounds=20, generations=20, idle_s=60, start_ups=20, micro=())
QUICK = Amount(rounds=2, generations=8, idle_s=30, start_ups=1, micro=("--quick",))


def main() -> int:
    """Exit code 1 where a tool sent nothing; its name is said."""
    options = _options()
    amount = _amount(options)
    chosen = [way for way in ALL if way.name in options.only] if options.only else _all(options)
    begun, where = time.monotonic(), machine()
    try:
        ways = [(way, environment(way.tool)) for way in chosen]
        versions = report.versions(of_host([each for _, each in ways]), ways)
        parts = [*_generations(ways, amount), *_start_ups(ways, amount), *_micro(amount)]
    except (driving.NothingArrived, Unequal, startup.Failed) as problem:
        print(problem, file=sys.stderr)
        return 1
    seconds = time.monotonic() - begun
    how = f"{amount.rounds} rounds of {amount.generations} generations, {seconds / 60:.0f} minutes"
    text = "\n\n".join([f"{where} · {how}", versions, *parts])
    print(text)
    if options.write:
        write(options.write, text)
    return 0


def _generations(ways: Ways, amount: Amount) -> list[str]:
    with driving.running(ways) as driven:
        _say("warming up, then idle")
        driving.prepare(driven, amount.idle_s)
        for number in range(1, amount.rounds + 1):
            driving.drive(driven, amount.generations)
            _say(f"round {number} of {amount.rounds}")
        told = [report.cpu(driven), report.beside(driven), report.not_completed(driven)]
        return [part for part in told if part]


def _start_ups(ways: Ways, amount: Amount) -> list[str]:
    """One of each tool: how its spans are sent, or which of them, makes no other start."""
    first = {way.tool: (way, own) for way, own in reversed(ways)}
    chosen = [first[tool] for tool in dict.fromkeys(way.tool for way, _ in ways)]
    _say("start-ups")
    with tempfile.TemporaryDirectory(prefix="gentrace-bench-") as folder:
        return [report.start(startup.measure(chosen, amount.start_ups, Path(folder)))]


def _micro(amount: Amount) -> list[str]:
    """In a process of its own, which has gentrace in it."""
    _say("microbenchmarks")
    program = [sys.executable, "-m", "bench.micro", *amount.micro]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    return [done.stdout.strip()]


def write(page: Path, text: str) -> None:
    """Puts the text between the page's two marks, which must be there."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} has no marks {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _all(options: argparse.Namespace) -> list[Way]:
    return [way for way in ALL if way.quick or not options.quick]


def _amount(options: argparse.Namespace) -> Amount:
    amount = QUICK if options.quick else WHOLE
    asked = {name: getattr(options, name) for name in ("rounds", "generations", "idle_s")}
    asked["start_ups"] = options.start_ups
    return amount._replace(**{name: value for name, value in asked.items() if value is not None})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.cost", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="five minutes; the rest an hour")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--generations", type=int, help="a way and round")
    parser.add_argument("--idle", type=float, dest="idle_s", help="seconds")
    parser.add_argument("--start-ups", type=int)
    names = [way.name for way in ALL]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--write", type=Path, metavar="PAGE", help="docs/cost.md")
    return parser.parse_args()


def _say(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
