"""Ten thousand jobs through a real ARQ worker: what stays behind in it.

    python -m bench.many_jobs [--jobs 10000] [--share 0.05] [--variants NAME ...]

Most jobs are small; a share of them are generations of the small host, asked for at its API. What
is told of the worker's process is read when it has nothing left to do.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import hosts
from bench.hosts import Host, Variant
from bench.measuring import cpu_s, machine, resident_mib, table
from tests.support.busy_worker import WORKER, Open, jobs
from tools import servers

PART = 500  # small jobs are sent so many at a time
GAP_S = 0.02  # between two generations
SETTLE_S = 3.0  # the pipelines hand on every second
SPOOLS, SENDS = "spool", "otlp"
COMMAND = ("python", "-m", "arq", WORKER)


@dataclass(frozen=True)
class Reading:
    """The worker's process after so many jobs."""

    jobs: int
    resident_mib: float
    open: Open
    cpu_s: float
    seconds: float


def main() -> None:
    """Runs the variants one after another and prints what was seen."""
    parser = argparse.ArgumentParser(prog="bench.many_jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=0.05, help="of them, generations")
    parser.add_argument("--variants", nargs="+", choices=["bare", SPOOLS, SENDS])
    options = parser.parse_args()
    readings: dict[str, list[Reading]] = {}
    lost: dict[str, str] = {}
    at = [options.jobs // 10, options.jobs // 2, options.jobs]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gentrace-bench-")))
        provider = stack.enter_context(hosts.standin(folder))
        endpoint, _ = stack.enter_context(hosts.receiver(folder))
        quick = {
            "POLL_INTERVAL_S": "1",
            "PYTHONPATH": f"{hosts.SMALL_HOST}{os.pathsep}{hosts.ROOT}",
        }
        traced = {**quick, "GENTRACE": "1"}
        variants = [
            Variant("bare", quick),
            Variant(SPOOLS, traced),
            Variant(SENDS, {**traced, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}),
        ]
        for variant in variants:
            if options.variants and variant.name not in options.variants:
                continue
            with (
                servers.redis() as redis,
                hosts.host(
                    variant,
                    folder / variant.name,
                    redis,
                    f"sqlite:///{folder / variant.name}.db",
                    provider,
                    COMMAND,
                ) as host,
            ):
                readings[variant.name] = asyncio.run(drive(host, redis.url, at, options.share))
            lost[variant.name] = _said(folder / variant.name / "worker.log")
    print(machine())
    print(f"{options.jobs} jobs, {options.share:.0%} of them generations\n")
    print(_shown(readings))
    print("\nsaid by gentrace in the worker: " + "; ".join(f"{k}: {v}" for k, v in lost.items()))


async def drive(host: Host, redis_url: str, at: Sequence[int], share: float) -> list[Reading]:
    """Sends the jobs and reads the worker's process after each of these numbers of them."""
    begun, done = time.monotonic(), 0
    readings: list[Reading] = []
    async with jobs(redis_url) as sender:
        for target in at:
            generations = round((target - done) * share)
            asked = asyncio.create_task(asyncio.to_thread(host.generate, generations, GAP_S))
            for start in range(done + generations, target, PART):
                await sender.small(min(PART, target - start))
            await asked  # which ends when they have
            done = target
            await asyncio.sleep(SETTLE_S)
            opened = await sender.open()
            resident = resident_mib(host.worker.pid)
            used_s = cpu_s(host.worker.pid)
            readings.append(Reading(done, resident, opened, used_s, time.monotonic() - begun))
            print(f"{host.variant.name}: {readings[-1]}", flush=True)
    return readings


def _said(log: Path) -> str:
    """How many lines beside the start line; none is meant to be there."""
    lines = [line for line in log.read_text().splitlines() if line.startswith("gentrace:")]
    return " | ".join(line for line in lines if "tracing as" not in line) or "nothing else"


def _shown(readings: dict[str, list[Reading]]) -> str:
    rows: list[list[str]] = []
    for name, of_variant in readings.items():
        first = of_variant[0]
        for reading, bare in zip(of_variant, readings.get("bare", of_variant), strict=True):
            rows.append(
                [
                    name,
                    str(reading.jobs),
                    f"{reading.resident_mib:.1f}",
                    f"{reading.resident_mib / first.resident_mib:.3f}",
                    f"{reading.resident_mib / bare.resident_mib:.2f}",
                    *(str(count) for count in reading.open),
                    f"{reading.cpu_s / bare.cpu_s:.2f}",
                ]
            )
    head = ["variant", "jobs", "resident MiB", "÷ first", "÷ bare"]
    return table([*head, *(name.replace("_", " ") for name in Open._fields), "CPU ÷ bare"], rows)


if __name__ == "__main__":
    main()
