"""What the source's processes say of their sampler: which generations were never written."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gentrace.sources import startups
from gentrace.sources.base import Source
from gentrace.sources.processes import ProcessRecord

_RATIO = re.compile(r"TraceIdRatioBased\{([\d.e-]+)\}")
SET = (
    "OTEL_TRACES_SAMPLER=always_on (or none at all) in the environment of API and workers keeps "
    "every generation"
)


def left_out(source: Source) -> str:
    """That a sampler leaves generations out, which one, and what to set; empty where none does.

    Raises:
        SourceError: the source cannot be read.
    """
    told = samplers(startups.of_source(source).found)
    return f"{'; '.join(told)}. {SET}" if told else ""


def samplers(processes: Sequence[ProcessRecord]) -> list[str]:
    """Each sampler that keeps less than everything, and in which service it was last at work."""
    last: dict[str, str] = {}
    for process in processes:  # the last seen first
        service = process.text("service") or process.text("role")
        last.setdefault(service, process.text("sampler"))
    named: dict[str, list[str]] = {}
    for service, sampler in sorted(last.items()):
        if sampler:
            named.setdefault(sampler, []).append(service)
    return [
        f"the sampler of {' and '.join(services)} ({sampler}) {_keeps(sampler)}"
        for sampler, services in named.items()
    ]


def _keeps(sampler: str) -> str:
    ratio = _RATIO.search(sampler)
    if ratio is not None:
        return f"keeps {float(ratio[1]) * 100:.4g} % of the generations and leaves out the others"
    if "AlwaysOff" in sampler:
        return "leaves out every generation"
    return "decides which generations are written, and may leave some out"
