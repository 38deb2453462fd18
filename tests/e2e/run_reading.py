"""What a day's runs tell of themselves, and what others saw of them meanwhile.

Others are a trigger on the host's status column, ARQ's own results, and the stand-in's log.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from redis import Redis

from gentrace.core.times import Kind, State
from gentrace.runtime.runs.keys import Keys
from gentrace.runtime.runs.record import Record
from tests.e2e import reading
from tests.support.otlp_receiver import Span
from tests.support.small_host import SmallHost

TIME = "generation.time.{}_s"
_TRIGGERS = """
CREATE TABLE status_seen (generation_id TEXT, status TEXT, at_s REAL);
CREATE TRIGGER status_made AFTER INSERT ON generations BEGIN
  INSERT INTO status_seen
  VALUES (NEW.id, NEW.status, (julianday('now') - 2440587.5) * 86400.0);
END;
CREATE TRIGGER status_set AFTER UPDATE OF status ON generations WHEN OLD.status <> NEW.status BEGIN
  INSERT INTO status_seen
  VALUES (NEW.id, NEW.status, (julianday('now') - 2440587.5) * 86400.0);
END;
"""


@dataclass(frozen=True)
class Seen:
    """A status as the database's trigger saw it set, a moment before its commit."""

    status: str
    at_s: float


@dataclass(frozen=True)
class Ran:
    """A try as ARQ kept it: its last, of a job that had several."""

    start_s: float
    end_s: float


def watch_statuses(host: SmallHost) -> None:
    """Have the database note each change of a status; its tables must be there."""
    with closing(sqlite3.connect(host.database, timeout=10)) as db:
        db.executescript(_TRIGGERS)


def statuses(host: SmallHost) -> dict[str, list[Seen]]:
    """What the trigger saw, by generation."""
    found: dict[str, list[Seen]] = defaultdict(list)
    with closing(sqlite3.connect(host.database, timeout=10)) as db:
        for generation_id, status, at_s in db.execute("SELECT * FROM status_seen ORDER BY at_s"):
            found[str(generation_id)].append(Seen(str(status).lower(), float(at_s)))
    return dict(found)


def submitted(host: SmallHost, generation_id: str) -> bool:
    """Whether the provider has it, as the host's database tells."""
    asked = "SELECT 1 FROM provider_submissions WHERE generation_id = ? AND provider_job_id <> ''"
    with closing(sqlite3.connect(host.database, timeout=10)) as db:
        return db.execute(asked, (int(generation_id),)).fetchone() is not None


def assets(host: SmallHost) -> Counter[str]:
    """How many assets each generation has: two, where two polls saw its end at once."""
    with closing(sqlite3.connect(host.database, timeout=10)) as db:
        found = db.execute("SELECT source_generation_id FROM assets").fetchall()
    return Counter(str(generation_id) for (generation_id,) in found)


def tries(host: SmallHost) -> dict[str, list[Ran]]:
    """The tries of process_generation by generation, as ARQ kept their results."""
    found: dict[str, list[Ran]] = defaultdict(list)
    with Redis.from_url(host.redis.url) as client:  # pyright: ignore[reportUnknownMemberType]
        for key in client.scan_iter("arq:result:*"):
            told = _Results(io.BytesIO(client.get(key))).load()  # pyright: ignore
            if told["f"] == "process_generation":
                ran = Ran(told["st"] / 1000, told["ft"] / 1000)
                found[str(told["k"]["generation_id"])].append(ran)
    return dict(found)


class _Results(pickle.Unpickler):
    """Reads what a job left, without the host whose exceptions are in it."""

    def find_class(self, module: str, name: str) -> Any:
        return Exception if module.startswith("pixsim7") else super().find_class(module, name)


def records(host: SmallHost) -> dict[str, list[Record]]:
    """The runs as the store keeps them, by generation and number."""
    found: dict[str, list[Record]] = defaultdict(list)
    with Redis.from_url(host.redis.url, decode_responses=True) as client:  # pyright: ignore
        for key in client.scan_iter(Keys("pixsim7").run("*")):
            record = Record.load(client.hget(key, "record"))  # pyright: ignore
            if record is not None:
                found[record.generation_id].append(record)
    return {i: sorted(runs, key=lambda run: run.number) for i, runs in found.items()}


def moments(runs: Iterable[Record], kind: Kind) -> list[float]:
    """When the store has that kind of event, in seconds."""
    events = (event for run in runs for event in run.ledger.events if event.kind is kind)
    return sorted(event.at_ns / 1e9 for event in events)


def submissions(host: SmallHost) -> list[float]:
    """When the stand-in was asked for a job, in seconds."""
    asked = ("/t2v", "/i2v", "/i2i", "/t2i", "/sora/v1/tasks", "/create-job")
    return [at for at, path in _requests(host) if path.endswith(asked)]


def polls(host: SmallHost) -> list[float]:
    """When the stand-in was asked how jobs fare."""
    asked = ("/list/personal", "/account/message")
    return [
        at
        for at, path in _requests(host)
        if path.endswith(asked) or "/tasks/" in path or "/get-job/" in path
    ]


def _requests(host: SmallHost) -> list[tuple[float, str]]:
    return [
        (datetime.fromisoformat(each["time"]).timestamp(), str(each["path"]))
        for each in host.standin_requests()
    ]


@dataclass(frozen=True)
class RunSpan:
    """A run span, and the spans of its trace."""

    span: Span
    trace: list[Span]

    def get(self, name: str) -> Any:
        """``generation.<name>`` of the run."""
        return self.span["attributes"].get(f"generation.{name}")

    @property
    def times(self) -> dict[State, float]:
        """Where its time went, in seconds."""
        return {s: self.span["attributes"][TIME.format(s)] for s in State}

    @property
    def duration_s(self) -> float:
        """How long it took."""
        return (self.span["end_ns"] - self.span["start_ns"]) / 1e9

    @property
    def end_s(self) -> float:
        """When it ended."""
        return self.span["end_ns"] / 1e9

    def named(self, name: str) -> list[Span]:
        """The trace's spans of that name, by start."""
        return sorted(
            (s for s in self.trace if s["name"] == name), key=lambda span: span["start_ns"]
        )

    def links(self, why: str) -> list[tuple[str, str]]:
        """The trace and span ids that the run span links to for that reason."""
        return links_of(self.span, why)


def links_of(span: Span, why: str) -> list[tuple[str, str]]:
    """The trace and span ids that a span links to for that reason; received or spooled."""
    found: list[tuple[str, str]] = []
    for link in span["links"]:
        if reading.attributes_of(link).get("gentrace.link") == why:
            ids = [link.get(a) or link.get(b) for a, b in _IDS]
            found.append((str(ids[0]), str(ids[1])))
    return found


_IDS = (("trace_id", "traceId"), ("span_id", "spanId"))


def run_spans(spans: Iterable[Span]) -> Mapping[str, list[RunSpan]]:
    """Every run span by generation, in the order of the runs; of one written twice the longer."""
    spans = list(spans)
    traces = reading.by_trace(spans)
    found: dict[str, dict[str, RunSpan]] = defaultdict(dict)
    for span in sorted(spans, key=lambda span: span["end_ns"]):
        if span["name"] == "generation":
            run = RunSpan(span, traces[span["trace_id"]])
            found[span["attributes"]["generation.id"]][span["span_id"]] = run
    return {
        generation_id: sorted(runs.values(), key=lambda run: run.get("run"))
        for generation_id, runs in found.items()
    }


def apart(left: Iterable[float], right: Iterable[float]) -> list[float]:
    """How far each moment on the left is from the nearest on the right; inf where none is."""
    others = list(right)
    return [min((abs(one - other) for other in others), default=float("inf")) for one in left]


def spool_has(folder: Path, wanted: Mapping[str, int]) -> bool:
    """Whether so many runs of each generation have been written."""
    found = run_spans(reading.spooled(folder))
    return all(len(found.get(i, ())) >= count for i, count in wanted.items())
