"""The same columns of traces that are in memory: what another store gave, seen as files are."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from gentrace.core import names
from gentrace.core.spans import Trace, traces
from gentrace.sources.index import fields, tables
from gentrace.sources.index.scan import told_of
from gentrace.sources.index.tables import RunColumns, Writer


def of_traces(found: Iterable[Trace]) -> tuple[RunColumns, list[Trace]]:
    """The run spans as columns; what else tells of runs that have none."""
    with duckdb.connect(":memory:") as db:
        db.execute(tables.SCHEMA)
        writer = Writer(db)
        for trace in found:
            own = [span for span in trace.spans if span.name == names.RUN]
            for span in own:
                writer.run(fields.from_span(span), 0)
            ended = {span.text(names.GENERATION_ID) or "" for span in own}
            ended |= {"" for _ in own}
            others = [span for span in trace.spans if span.name != names.RUN]
            told = ((span, told_of(span)) for span in others)
            writer.telling((span for span, of in told if of is not None and of not in ended), 0)
        writer.flush()
        db.execute(tables.SETTLED)
        return tables.columns(db), [*traces(tables.spans(db))]
