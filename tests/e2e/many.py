"""Two hundred generations of mixed fates, to their ends, through the Collector and into Jaeger."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentrace.core import names
from gentrace.core.spans import Trace
from gentrace.sources.otlp_files import OtlpFiles
from tests.support import jaegers
from tests.support.programs import ROOT
from tests.support.recording import recorder
from tests.support.small_host import small_host
from tests.support.waiting import PATIENCE_S
from tools import servers
from tools.servers import JaegerServer

FATES = ("fine", "RETRYFILTER1", "BADPROMPT", "fine", "BOOM1", "fine", "FILTER", "fine")
RARE = {11: "CONC1", 45: "SESSION1", 101: "CONC1"}  # an account that they take out is out a while
MANY = 200
PROFILE = "e2e-many"
SERVICES = f"{PROFILE}-"


def of_generations(traces: list[Trace]) -> dict[str, set[str]]:
    """The traces of each generation, by their ids."""
    found: dict[str, set[str]] = {}
    for trace in traces:
        for span in trace.spans:
            if (id_ := span.text(names.GENERATION_ID)) is not None:
                found.setdefault(id_, set()).add(trace.trace_id)
    return found


def counts(traces: dict[str, Trace]) -> dict[str, int]:
    """How many spans each has."""
    return {trace_id: len(trace.spans) for trace_id, trace in traces.items()}


def ended(spans: list[Any]) -> set[str]:
    """The generations whose run has its span."""
    return {s["attributes"][names.GENERATION_ID] for s in spans if s["name"] == names.RUN}


def over(spans: list[Any]) -> bool:
    """Whether every run has its span, which is written once its end has settled."""
    runs = [span for span in spans if span["name"] == names.RUN]
    return len(ended(runs)) >= MANY and any(span["links"] for span in runs)


@dataclass(frozen=True)
class Sent:
    """What a host exported: its generations, a spool of all of it, and the Collector's file."""

    ids: list[str]
    spool: Path
    collected: Path
    traces: dict[str, Trace]


@contextmanager
def made(jaeger: JaegerServer, folder: Path, failed: Callable[[], bool]) -> Generator[Sent]:
    """Have a host make them; when all of it is in Jaeger."""
    file = folder / "spans-1.jsonl"
    with servers.collector(failed, jaeger=jaeger) as collector:
        ids = _two_hundred(collector.otlp_http, file, failed)
        traces = {t.trace_id: t for t in OtlpFiles(file).traces().traces}
        with jaegers.reading(jaeger.url, only=SERVICES) as source:
            end = time.monotonic() + PATIENCE_S
            while {t.trace_id: len(t.spans) for t in source.traces().traces} != counts(traces):
                assert time.monotonic() < end, "not all spans are in Jaeger"
                time.sleep(0.2)
        yield Sent(ids, file.parent, collector.traces, traces)


def _two_hundred(endpoint: str, file: Path, failed: Callable[[], bool]) -> list[str]:
    """Have a host make them, and record what it exports; their ids."""
    shipped = (ROOT / "gentrace" / "profiles" / "pixsim7.toml").read_text(encoding="utf-8")
    profile = file.parent.parent / "profile.toml"
    profile.write_text(shipped.replace('name = "pixsim7"', f'name = "{PROFILE}"', 1), "utf-8")
    with (
        recorder(endpoint, file) as through,
        small_host(
            {
                "GENTRACE": "1",
                "GENTRACE_PROFILE": str(profile),
                "OTEL_EXPORTER_OTLP_ENDPOINT": through.http_endpoint,
                "OTEL_BSP_SCHEDULE_DELAY": "1000",
                "GENTRACE_SQL": "slow",  # what is read back here are not SQLAlchemy's spans
                "ACCOUNT_COUNT": "8",
                "ACCOUNT_SLOTS": "8",
            },
            workers=2,
            failed=failed,
        ) as host,
    ):
        words = (RARE.get(n, FATES[n % len(FATES)]) for n in range(MANY))
        ids = host.submit_all([{"prompt": f"number {n} {word}"} for n, word in enumerate(words)])
        host.submit("number 0 fine", request={"force_new": False})
        host.wait_status(ids[2], "failed")
        through.wait_for(lambda spans: {ids[2]} <= ended(spans))
        host.act(ids[2], "retry")  # a run of its own, linked to the one before
        through.wait_for(over, 500)
    return ids
