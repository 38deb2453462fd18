"""How the answers about one trace grow with it: two traces of n spans, then of 2n, of each shape.

    python -m bench.trace_size [--size 10000] [--shapes chain wide tried ...]

The shapes are those of tests/support/shapes.py. Each answer is one process; what starting one takes
is asked of a trace of few spans and taken off. About 2 is linear, 4 is the square.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.measuring import machine, table
from tests.core import traces
from tests.support.shapes import SHAPES, shaped

_RUN = "from gentrace.cli import main; main()"
_FEW, _IN_LINE = 40, 512
_LEAST_S = 0.1  # less than that is noise, and its ratio is none


class Cost(NamedTuple):
    """Of one process."""

    cpu_s: float
    peak_mib: float


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.trace_size", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    options = parser.parse_args()
    print(machine())
    rows: list[Sequence[str]] = []
    with tempfile.TemporaryDirectory(prefix="gentrace-bench-") as text:
        folder = Path(text)
        for shape in options.shapes:
            sizes = (_FEW, options.size, 2 * options.size)
            files = [write(folder / f"{shape}-{size}.jsonl", shape, size) for size in sizes]
            for question in questions(folder):
                start, one, two = (ask(question, path, folder) for path in files)
                own_s = one.cpu_s - start.cpu_s
                ratio = (two.cpu_s - start.cpu_s) / own_s if own_s > _LEAST_S else math.nan
                spent = (f"{cost.cpu_s:.2f}" for cost in (one, two))
                told = (*spent, f"{ratio:.1f}", f"{two.peak_mib:,.0f}")
                rows.append((shape, f"{options.size:,}", question[0], *told))
    head = ("shape", "n", "answer", "CPU s of n", "of 2n", "2n ÷ n", "peak MiB of 2n")
    print(table(head, rows))


def questions(folder: Path) -> list[tuple[str, list[str]]]:
    """What is asked, by its name."""
    both = [f"trace:{trace_id}" for trace_id in (_id(1), _id(2))]
    page = ["--html", str(folder / "page.html")]
    return [
        ("list", ["list", "--limit", "5"]),
        ("show", ["show", both[0]]),
        ("show --json", ["show", both[0], "--json"]),
        ("compare", ["compare", *both, *page]),
        ("slow", ["slow", "--json"]),
    ]


def ask(question: tuple[str, list[str]], path: Path, folder: Path) -> Cost:
    """What one command took."""
    command = [sys.executable, "-c", _RUN, *question[1], "--source", str(path)]
    environ = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 2):  # several generations in one trace are no pair
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def write(path: Path, shape: str, size: int) -> Path:
    """Two traces of that shape as a Collector lays them out."""
    with path.open("w") as out:
        for number in (1, 2):
            spans = shaped(shape, size, _id(number), str(number)).spans
            for at in range(0, len(spans), _IN_LINE):
                request = traces.request(*spans[at : at + _IN_LINE])
                out.write(json.dumps(request, separators=(",", ":")) + "\n")
    return path


def _id(number: int) -> str:
    return f"{number:032x}"


if __name__ == "__main__":
    main()
