"""The CPU that one generation costs on the small host, by how the host is instrumented.

    python -m bench.generation_cpu [--generations 20] [--rounds 4] [--idle 30]
                                   [--database sqlite|postgres] [--variants NAME ...]

Every variant runs at the same time with a Redis and a database of its own; they are driven in
turn, round after round, so that a slow minute of the machine falls on all of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import hosts
from bench.hosts import Host, Variant
from bench.measuring import Sample, machine, ratios, table
from tools import servers

BARE, SPOOL, OTLP, AUTO = "bare", "spool", "otlp", "opentelemetry-instrument"
SETTLE_S = 3.0  # what is exported, written or settled after the last generation's end
GAP_S = 0.1
WARM_UP = 5


@dataclass
class Measured:
    """One variant's numbers: CPU of each driven window, and of the idle one."""

    host: Host
    idle_share: float = 0.0
    idle: tuple[int, int] = (0, 0)
    windows: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    cpu_ms: list[float] = field(default_factory=list[float])

    def drive(self, generations: int) -> None:
        """One window: CPU a generation, less what the host would have used idle in that time."""
        begin, before = time.time_ns(), self.host.cpu_s()
        self.host.generate(generations, GAP_S)
        time.sleep(SETTLE_S)
        used, end = self.host.cpu_s() - before, time.time_ns()
        used -= self.idle_share * (end - begin) / 1e9
        self.windows.append((begin, end))
        self.cpu_ms.append(used / generations * 1000)


def variants(endpoint: str) -> list[Variant]:
    """The four ways to run the host; the last only where it is installed."""
    otlp = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    traces_only = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    found = [
        Variant(BARE),
        Variant(SPOOL, {"GENTRACE": "1"}),
        Variant(OTLP, {"GENTRACE": "1", **otlp}, exports=True),
    ]
    program = hosts.auto_instrumentation()
    if program is None:
        print("opentelemetry-instrument is not installed here: left out", file=sys.stderr)
    else:
        found.append(Variant(AUTO, {**otlp, **traces_only}, (program,), exports=True))
    return found


def measure(options: argparse.Namespace) -> None:
    """Starts everything, measures, prints."""
    where = machine()  # as it is when the hosts start
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gentrace-bench-")))
        provider = stack.enter_context(hosts.standin(folder))
        endpoint, received = stack.enter_context(hosts.receiver(folder))
        databases = stack.enter_context(servers.postgres()) if options.postgres else None
        running: list[Measured] = []
        for variant in variants(endpoint):
            if options.variants and variant.name not in options.variants:
                continue
            own = folder / variant.name
            database = databases.new_database() if databases else f"sqlite:///{own}/host.db"
            redis = stack.enter_context(servers.redis())
            started = hosts.host(variant, own, redis, database, provider)
            running.append(Measured(stack.enter_context(started)))
        begin = time.monotonic()
        for each in running:
            each.host.generate(WARM_UP, GAP_S)
        time.sleep(SETTLE_S)
        _idle(running, options.idle)
        for number in range(options.rounds):
            for each in running:
                each.drive(options.generations)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        print(f"{where} · {time.monotonic() - begin:.0f} s\n")
        _report(running, received, options)


def _idle(running: list[Measured], seconds: float) -> None:
    """All at once, since nobody is driven."""
    begin, before = time.time_ns(), [each.host.cpu_s() for each in running]
    time.sleep(seconds)
    for each, used in zip(running, before, strict=True):
        each.idle = (begin, time.time_ns())
        each.idle_share = (each.host.cpu_s() - used) / ((each.idle[1] - begin) / 1e9)


def _report(running: list[Measured], received: Path, options: argparse.Namespace) -> None:
    generations = options.generations * options.rounds
    base = next((each for each in running if each.host.variant.name == BARE), running[0])
    rows: list[list[str]] = []
    added: dict[str, list[float]] = {}
    for each in running:
        name = each.host.variant.name
        counted = each.host.count(received, each.windows)
        idle = each.host.count(received, [each.idle])
        added[name] = [a - b for a, b in zip(each.cpu_ms, base.cpu_ms, strict=True)]
        rows.append(
            [
                name,
                Sample(tuple(each.cpu_ms)).shown(digits=1),
                ratios(each.cpu_ms, base.cpu_ms).shown(),
                f"{counted.spans / generations:.1f}",
                f"{counted.traces / generations:.2f}",
                f"{counted.joined / generations:.2f}",
                f"{each.idle_share * 100:.2f} %",
                f"{idle.spans / ((each.idle[1] - each.idle[0]) / 1e9):.1f}",
            ]
        )
    head = ["variant", "CPU ms a generation", "÷ bare", "spans", "traces", "joined"]
    print(table([*head, "idle CPU", "idle spans/s"], rows))
    print()
    for name, more in added.items():
        if name == base.host.variant.name:
            continue
        line = f"{name} adds {Sample(tuple(more)).shown(digits=1)} ms to a generation"
        if AUTO in added and name != AUTO:
            line += f", {_beside(more, added[AUTO]):.2f} of what {AUTO} adds"
        print(line)


def _beside(more: list[float], other: list[float]) -> float:
    """Medians, since a round's difference may be near 0."""
    return Sample(tuple(more)).median / Sample(tuple(other)).median


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.generation_cpu")
    parser.add_argument("--generations", type=int, default=20, help="a variant and round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--idle", type=float, default=30, help="seconds")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--variants", nargs="*", help=f"of {BARE}, {SPOOL}, {OTLP}, {AUTO}")
    options = parser.parse_args()
    options.postgres = options.database == "postgres"
    measure(options)


if __name__ == "__main__":
    main()
