"""The same columns of traces that are in memory: what another store gave, seen as files are."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from gentrace.core import names
from gentrace.core.spans import Trace, traces
from gentrace.sources.index import fields, tables
from gentrace.sources.index.scan import TELLING
from gentrace.sources.index.tables import RunColumns, Writer


def of_traces(found: Iterable[Trace]) -> tuple[RunColumns, list[Trace]]:
    """The run spans as columns; of traces without one, the spans that tell of a run."""
    with duckdb.connect(":memory:") as db:
        db.execute(tables.SCHEMA)
        writer = Writer(db)
        for trace in found:
            own = [span for span in trace.spans if span.name == names.RUN]
            for span in own:
                writer.run(fields.from_span(span), 0)
            if not own:
                writer.telling((span for span in trace.spans if span.name in TELLING), 0)
        writer.flush()
        return tables.columns(db), [*traces(tables.spans(db))]
