"""How long the group questions take, and how that grows: files of 1,000 to 100,000 generations.

    python -m bench.compare_size [--sizes 1000 10000 100000] [--layout batches|scattered]
                                 [--keep FOLDER]

Each generation is 25 spans. `batches` is a Collector's layout, forty generations a line in few
files; `scattered` has spaces between everything, four generations a line, and two hundred a file.
`cold` begins without an index, `warm` finds it; each is one process that starts no other, with what
it needed of memory at most. Its files are made in a temporary folder that goes away again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.measuring import machine, table
from gentrace.core import names

SPANS = 25
START_NS = 1_790_000_000_000_000_000
LAYOUTS = {"batches": (40, 20_000), "scattered": (4, 200)}
"""Generations to a line and to a file."""
_OTHERS = (
    "create_generation", "generation.hash", "generation.dedup", "generation.cache",
    "enqueue process_generation", "queue.wait", "process_generation", "account.select",
    "account.credits", "provider.execute", "pixverse._generate_text_to_video", "provider.wait",
    "provider.poll", "generation.finish",
)  # fmt: skip
_SQL = "SELECT generations"
_RUN = "from gentrace.cli import main; main()"


class Cost(NamedTuple):
    """Of one process."""

    seconds: float
    cpu_s: float
    peak_mib: float


def main() -> None:
    """Prints the table, and each size beside the one before."""
    parser = argparse.ArgumentParser(prog="bench.compare_size", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--layout", choices=LAYOUTS, default="batches")
    parser.add_argument("--keep", type=Path, help="keep the files there")
    options = parser.parse_args()
    print(machine())
    rows: list[Sequence[str]] = []
    costs: dict[tuple[str, str], list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="gentrace-bench-") as text:
        for size in options.sizes:
            folder = (options.keep or Path(text)) / str(size)
            if not folder.exists():
                write(folder, size, options.layout)
            mib = sum(f.stat().st_size for f in folder.iterdir()) / 2**20
            for question in ("slow", "failing"):
                with tempfile.TemporaryDirectory(prefix="gentrace-bench-cache-") as cache:
                    for state in ("cold", "warm"):
                        cost = ask(question, folder, Path(cache))
                        known = costs.setdefault((question, state), [])
                        grown = f"{cost.cpu_s / known[-1].cpu_s:.1f}" if known else ""
                        known.append(cost)
                        rows.append((f"{size:,}", f"{mib:,.0f}", question, state,
                                     f"{cost.seconds:.2f}", f"{cost.cpu_s:.2f}",
                                     f"{cost.peak_mib:,.0f}", grown))  # fmt: skip
    head = ("generations", "MiB of files", "question", "index", "s", "CPU s", "peak MiB",
            "CPU ÷ the size before")  # fmt: skip
    print(table(head, rows))
    first, last = (f"{options.sizes[place]:,}" for place in (0, -1))
    grown = [
        (*asked, *(f"{b / a:.1f}" for a, b in zip(found[0], found[-1], strict=True)))
        for asked, found in costs.items()
    ]
    print(f"\n{last} ÷ {first}:")
    print(table(("question", "index", "s", "CPU s", "peak MiB"), grown))


def ask(question: str, folder: Path, cache: Path) -> Cost:
    """What one command took."""
    environ = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process compiles gentrace anew
    command = [sys.executable, "-c", _RUN, "compare", question, "--json"]
    begun = time.perf_counter()
    with subprocess.Popen(
        [*command, "--source", str(folder)], env=environ, stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    seconds = time.perf_counter() - begun
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def write(folder: Path, generations: int, layout: str = "batches") -> None:
    """The files: one slow account, one model that fails, and one run in a hundred unfinished."""
    folder.mkdir(parents=True)
    rng = random.Random(generations)
    template = _template()
    head, tail = _around()
    in_line, in_file = LAYOUTS[layout]
    for first in range(0, generations, in_file):
        with (folder / f"part-{first:07d}.jsonl").open("w") as out:
            for batch in range(first, min(first + in_file, generations), in_line):
                ids = range(batch, min(batch + in_line, generations))
                line = head + ",".join(_generation(rng, template, n) for n in ids) + tail
                out.write(line if layout == "batches" else _spaced(line))


def _generation(rng: random.Random, template: str, number: int) -> str:
    account, model = rng.randrange(1, 12), rng.choice(("v4.5", "v5", "v5.5"))
    run_s = {"v4.5": 20.0, "v5": 35.0, "v5.5": 60.0}[model] * rng.lognormvariate(0, 0.3)
    run_s *= 2 if account == 7 else 1
    failed = rng.random() < (0.15 if model == "v4.5" else 0.03)
    start_ns = START_NS + number * 5_000_000_000
    values = {
        "T": f"{rng.getrandbits(127) + 1:032x}", "G": str(number), "A": str(account), "M": model,
        "U": str(rng.randrange(200)), "S": str(start_ns), "E": str(start_ns + int(run_s * 1e9)),
        "O": "failed" if failed else "completed", "R": repr(run_s - 0.5),
        "X": ',{"key":"generation.error.code","value":{"stringValue":"content_filtered"}}'
        if failed else "",
        "V": "r1" if number % 2 else "r2", "P": f"{rng.randrange(4)}",
        "N": names.RUN if rng.random() > 0.01 else "generation.unwritten",
    }  # fmt: skip
    return template % values


def _spaced(line: str) -> str:
    for tight, loose in (('":', '": '), (',"', ', "'), (",{", ", {")):
        line = line.replace(tight, loose)
    return line


def _template() -> str:
    """One generation's spans, to be filled in."""
    spans: list[str] = []
    for place in range(SPANS - 1):
        name = _OTHERS[place] if place < len(_OTHERS) else _SQL
        attributes = _text({names.GENERATION_ID: "%(G)s", "db.system.name": "postgresql",
                            "db.query.text": "SELECT generations.id, generations.status FROM "
                            "generations WHERE generations.id = ?", names.PROVIDER: "pixverse",
                            names.MODEL: "%(M)s", names.OPERATION: "text_to_video"})  # fmt: skip
        spans.append(_span(name, place, attributes))
    spent = "".join(
        f',{{"key":"{name}","value":{{"doubleValue":{value}}}}}'
        for name, value in zip(
            names.TIMES.values(),
            ("0.05", "0.2", "0.0", "0.0", "0.0", "0.15", "0.05", "%(R)s", "0.05", "0.0"),
            strict=True,
        )
    )
    attributes = _text({names.GENERATION_ID: "%(G)s", names.OPERATION: "text_to_video",
                        names.PROVIDER: "pixverse", names.MODEL: "%(M)s",
                        names.ACCOUNT_ID: "%(A)s", names.USER_ID: "%(U)s",
                        names.OUTCOME: "%(O)s", names.DEDUP_RESULT: "miss",
                        names.CACHE_RESULT: "miss", names.STAGE: "finished",
                        names.CODE_VERSION: "%(V)s", names.GENERATION_HASH: "%(T)s%(T)s",
                        names.PROVIDER_JOB_ID: "%(S)s"})  # fmt: skip
    processes = (
        ',{"key":"gentrace.processes","value":{"arrayValue":{"values":[{"stringValue":"api-1"},'
        '{"stringValue":"worker-%(P)s"}]}}}'
    )
    counts = "".join(
        f',{{"key":"{name}","value":{{"intValue":"1"}}}}'
        for name in (names.GENERATION_RUN, names.TRIES, names.ATTEMPTS, names.POLLS)
    )
    spans.append(_span("%(N)s", SPANS, attributes + processes + counts + spent + "%(X)s"))
    return ",".join(spans)


def _span(name: str, place: int, attributes: str) -> str:
    return (
        f'{{"traceId":"%(T)s","spanId":"{place + 1:016x}","parentSpanId":"{max(1, place):016x}",'
        f'"flags":256,"name":"{name}","kind":1,"startTimeUnixNano":"%(S)s",'
        f'"endTimeUnixNano":"%(E)s","attributes":[{attributes}],"status":{{}}}}'
    )


def _text(attributes: dict[str, str]) -> str:
    return ",".join(_pairs(attributes))


def _pairs(attributes: dict[str, str]) -> Iterator[str]:
    for name, value in attributes.items():
        yield f'{{"key":"{name}","value":{{"stringValue":{json.dumps(value)}}}}}'


def _around() -> tuple[str, str]:
    resource_ = _text({"service.name": "pixsim7-worker", "service.instance.id": "worker-1"})
    head = (
        f'{{"resourceSpans":[{{"resource":{{"attributes":[{resource_}]}},'
        '"scopeSpans":[{"scope":{"name":"gentrace"},"spans":['
    )
    return head, "]}]}]}\n"


if __name__ == "__main__":
    main()
