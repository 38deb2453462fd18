"""A sampler in words, as a process tells of it."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NoOpTracerProvider

from gentrace.core import names
from gentrace.runtime.export.sampling import Decided, described
from tests.core.scrub.test_passes import SCRUBBER


@pytest.mark.parametrize(
    ("sampler", "told"),
    [
        (ALWAYS_ON, ""),
        (DEFAULT_ON, ""),
        (ALWAYS_OFF, "AlwaysOffSampler"),
        (TraceIdRatioBased(0.25), "TraceIdRatioBased{0.25}"),
        (ParentBased(TraceIdRatioBased(1e-5)), "ParentBased{root:TraceIdRatioBased{1e-05}}"),
        (ParentBased(ALWAYS_OFF), "ParentBased{root:AlwaysOffSampler}"),
    ],
)
def test_what_decides_is_told_where_it_leaves_any_out(sampler: Sampler, told: str) -> None:
    for made in (sampler, Decided(sampler)):
        assert described(TracerProvider(sampler=made, shutdown_on_exit=False)) == told
    assert SCRUBBER.attribute(names.SAMPLER, told) == told


def test_a_provider_that_samples_nothing_has_no_word() -> None:
    assert described(NoOpTracerProvider()) == ""
