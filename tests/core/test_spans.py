"""Spans grouped to traces: the same ones whatever order they come in."""

from __future__ import annotations

import random
from dataclasses import replace

from gentrace.core.spans import traces as grouped
from tests.core import traces


def test_a_span_that_was_written_twice_is_the_same_one_in_any_order() -> None:
    made = traces.completed()
    last = made.spans[-1]
    early = replace(last, end_ns=last.end_ns - 5, instance="z", attributes={"other": 1})
    still_open = replace(last, end_ns=0)
    fuller = replace(last, attributes={**last.attributes, "more": 1})
    for seed in range(20):
        spans = [*made.spans, early, still_open, fuller]
        random.Random(seed).shuffle(spans)
        (trace,) = grouped(spans)
        assert len(trace.spans) == len(made.spans)
        assert trace.by_id()[last.span_id] == fuller
