"""A pipeline with an exporter that a test can stop, refuse or break."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from gentrace.core import profile, settings
from gentrace.core.scrub import Scrubber
from gentrace.runtime.export.pipeline import Pipeline
from gentrace.runtime.export.spool import Spool
from gentrace.runtime.process import Process
from tests.runtime.export.test_spool import names_in


class Exporter:
    """An OTLP exporter that a test can stop, refuse or break."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        self.batches: list[int] = []
        self.services: set[str] = set()
        self.answer: SpanExportResult | Exception = SpanExportResult.SUCCESS
        self.may_go = threading.Event()
        self.asked = threading.Event()
        self.may_go.set()
        self.closed = False
        self.rejected = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        assert self.may_go.wait(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is SpanExportResult.SUCCESS:
            self.spans += [span.name for span in spans]
            self.batches.append(len(spans))
            self.services |= {str(span.resource.attributes["service.name"]) for span in spans}
        return self.answer

    def shutdown(self) -> None:
        self.may_go.set()
        self.closed = True


class Kit:
    """A pipeline with its exporter, in a process whose role a test decides."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        given = settings.read({"GENTRACE_SPOOL": str(folder / "spool")})
        given = dataclasses.replace(
            given, **{"endpoint": "http://collector", "schedule_delay_ms": 20, **changes}
        )
        loaded, _ = profile.load()
        self.folder = folder
        self.process = Process(loaded, given)
        self.exporter = Exporter()
        spool = Spool(given.spool, given.spool_max_bytes, given.spool_max_age_s, "first")
        scrubber = Scrubber(b"key")
        self.pipeline = Pipeline(given, self.process, spool, scrubber, lambda _: self.exporter)
        self.process.on_role.append(self.pipeline.role_known)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.pipeline)

    def end(self, *names: str) -> None:
        """Ends spans of these names."""
        for name in names:
            self.provider.get_tracer("gentrace").start_span(name).end()

    def spooled(self) -> list[str]:
        return names_in(self.folder, "spans")


@pytest.fixture
def kit(tmp_path: Path) -> Generator[Callable[..., Kit]]:
    made: list[Kit] = []

    def make(role: str = "worker", **changes: Any) -> Kit:
        made.append(Kit(tmp_path, **changes))
        if role:
            made[-1].process.become(role)
        return made[-1]

    yield make
    for each in made:
        each.exporter.may_go.set()
        each.pipeline.shutdown()
        thread = each.pipeline._thread
        assert thread is None or not thread.is_alive()
