"""The hosts of all ways, side by side: started, warmed up, left idle, driven in turn.

Each has a Redis, a database and a receiver of its own. In each round every one is driven once, so
that a slow minute of the machine falls on all of them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis

from bench import hosts
from bench.cost import counting
from bench.cost.counting import Reading, Used
from bench.cost.environments import NONE, Environment
from bench.cost.variants import API, WORKER, Way
from bench.hosts import Host, Variant
from bench.measuring import resident_mib
from bench.receivers import arrived
from bench.receivers.arrived import Count
from tools import servers

SETTLE_S = 6.5
"""After a round's last generation: longer than any tool waits to export (OpenTelemetry 5 s)."""
GAP_S = 0.1
WARM_UP = 5
ARRIVE_S = 30.0
PAYLOADS = 3


class NothingArrived(Exception):
    """A tool that is on has sent nothing that its receiver understood: its numbers mean nothing."""


@dataclass
class Driven:
    """One way's host, and what was counted of it."""

    way: Way
    host: Host
    redis: Redis
    received: Path
    idle: Used = field(default_factory=lambda: Used(0, 0, 0))
    idle_stretch: tuple[int, int] = (0, 0)
    rounds: list[Used] = field(default_factory=list[Used])
    """What a generation cost in each round."""
    stretches: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    generations: int = 0
    """Of all rounds."""
    payload: int = 0
    resident_mib: tuple[float, float] = (0, 0)

    def read(self) -> Reading:
        return counting.reading(self.host.pids, self.redis)

    def drive(self, generations: int) -> None:
        """One round: asks, waits for the ends and for what is exported after them."""
        begin = self.read()
        self.host.generate(generations, GAP_S)
        settle([self])
        end = self.read()
        self.generations += generations
        self.stretches.append((begin.at_ns, end.at_ns))
        self.rounds.append(counting.a_generation(begin, end, generations, self.idle))

    def arrived(self) -> list[arrived.Arrived]:
        """What came at its receiver, or stands in its spool."""
        spool = sorted((self.host.folder / "spool").glob("*.jsonl"))
        if self.way.sends or not spool:
            return list(arrived.read(self.received))
        return [span for segment in spool for span in arrived.of_spool(segment)]

    def count(self) -> Count:
        """Of all rounds."""
        return arrived.count(self.arrived(), self.stretches)

    def idle_spans(self) -> int:
        return arrived.count(self.arrived(), [self.idle_stretch]).spans


def prepare(driven: Sequence[Driven], idle_s: float) -> None:
    """Warms up, makes sure that every tool is heard, looks at a queued job and at the idle hosts.

    Errors: NothingArrived.
    """
    for each in driven:
        for _ in range(WARM_UP):
            each.host.ask()
    for each in driven:
        each.host.wait()
        hear(each)
        each.payload = round(median(_payload(each) for _ in range(PAYLOADS)))
    settle(driven)
    before = [each.read() for each in driven]
    time.sleep(idle_s)  # all at once, since nobody is driven
    for each, begin in zip(driven, before, strict=True):
        end = each.read()
        each.idle = counting.a_second(begin, end)
        each.idle_stretch = begin.at_ns, end.at_ns


def settle(driven: Sequence[Driven]) -> None:
    """Waits until all is over, and still is after what follows on it: a failure may be retried."""
    while True:
        for each in driven:
            each.host.wait()
        time.sleep(SETTLE_S)
        if all(each.host.over() >= each.host.asked for each in driven):
            return


def drive(driven: Sequence[Driven], generations: int) -> None:
    """One round."""
    for each in driven:
        each.drive(generations)
    for each in driven:
        api, worker = (resident_mib(pid) for pid in each.host.pids)
        each.resident_mib = api, worker


def _payload(each: Driven) -> int:
    return counting.payload_bytes(each.redis, each.host.worker.pid, each.host.ask)


def hear(each: Driven) -> None:
    """Waits until spans of both processes have come, from what warmed the host up.

    Errors: NothingArrived, with what the receiver did not understand.
    """
    if each.way.tool is NONE:
        return
    end = time.monotonic() + ARRIVE_S
    while True:
        processes = {span.process for span in each.arrived()}
        missing = [side for side in (API, WORKER) if not any(p.endswith(side) for p in processes)]
        if not missing:
            return
        if time.monotonic() > end:
            log = each.received.with_suffix(".log").read_text(errors="replace").strip()
            said = f"; its receiver said: {log.splitlines()[-1]}" if log else ""
            raise NothingArrived(
                f"{each.way.name}: no span of the {' and the '.join(missing)} arrived{said}"
            )
        time.sleep(0.5)


@contextmanager
def running(ways: Sequence[tuple[Way, Environment]]) -> Generator[list[Driven]]:
    """The hosts of all ways; their logs stay in a temporary folder if something fails."""
    with ExitStack() as stack:
        folder = stack.enter_context(hosts.kept_if_it_fails())
        provider = stack.enter_context(hosts.standin(folder))
        postgres = stack.enter_context(servers.postgres())
        driven: list[Driven] = []
        for number, (way, environment) in enumerate(ways):
            print(f"starting: {way.name}", file=sys.stderr, flush=True)
            address, received = stack.enter_context(hosts.receiver(folder, f"receiver-{number}"))
            redis = stack.enter_context(servers.redis())
            variant = Variant(
                way.name,
                way.env(address),
                tuple(way.prefix(environment)),
                environment.folder / "bin",
                way.named,
            )
            started = hosts.host(
                variant, folder / f"host-{number}", redis, postgres.new_database(), provider
            )
            host = stack.enter_context(started)
            client: Any = Redis.from_url(redis.url)
            stack.callback(client.close)
            driven.append(Driven(way, host, client, received))
        yield driven
