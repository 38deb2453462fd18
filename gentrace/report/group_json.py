"""The answer about groups as a JSON object."""

from __future__ import annotations

import math
from typing import Any

from gentrace.analysis.compare.model import (
    Exemplar,
    Finding,
    Fingerprint,
    Group,
    GroupComparison,
    TimeDifference,
)
from gentrace.core.run.times import State
from gentrace.report.json import Object, iso
from gentrace.report.links import Links


def as_object(found: GroupComparison, links: Links | None = None) -> Object:
    """The contract's keys, and what else is known; ``fingerprints`` of failures only."""
    answer: Object = {
        "question": found.question,
        "groups": {name: _group(group) for name, group in found.groups.items()},
        "findings": [_finding(each, links) for each in found.findings],
        "symptoms": [_finding(each, links) for each in found.symptoms],
        "times": {f"{time}_s": _time(each) for time, each in found.times.items()},
        "not_enough_data": list(found.not_enough_data),
        "notes": list(found.notes),
        "tested": found.tested,
        "truncated": found.truncated,
    }
    if found.question == "failing":
        answer["fingerprints"] = [_fingerprint(each, links) for each in found.fingerprints]
    return answer


def _group(group: Group) -> Object:
    return {
        "label": group.label,
        "n": group.n,
        "finished": group.finished,
        "unfinished": group.unfinished,
        "outcomes": dict(group.outcomes),
        "p50_s": _finite(group.p50_s),
        "p90_s": _finite(group.p90_s),
        "times": {f"{time}_s": group.times.get(time) for time in group.times or State},
        "medians": {f"{time}_s": group.medians.get(time) for time in group.medians or State},
    }


def _finding(found: Finding, links: Links | None) -> Object:
    return {
        "kind": found.kind,
        "name": found.name,
        "value": found.value,
        "time": found.time,
        "effect": _finite(found.effect),
        "unit": found.unit,
        "interval": [_finite(end) for end in found.interval],
        "at_least": found.at_least,
        "p_adjusted": found.p_adjusted,
        "n": found.n,
        "also": list(found.also),
        "window": [iso(at_ns) for at_ns in found.window] if found.window else None,
        "fingerprint": found.fingerprint,
        "comparison": list(found.comparison),
        "exemplars": [_exemplar(each, links) for each in found.exemplars],
    }


def _time(found: TimeDifference) -> Object:
    return {
        "a_s": found.a_s,
        "b_s": found.b_s,
        "a_median_s": found.a_median_s,
        "b_median_s": found.b_median_s,
        "difference_s": found.difference_s,
        "share": found.share,
    }


def _fingerprint(found: Fingerprint, links: Links | None) -> Object:
    near = found.nearest_success
    return {
        "fingerprint": found.fingerprint,
        "n": found.n,
        "share": found.share,
        "stage": found.stage,
        "error_code": found.error_code,
        "error_type": found.error_type,
        "exemplars": [_exemplar(each, links) for each in found.exemplars],
        "nearest_success": {
            **_exemplar(Exemplar(near.id, near.trace_id), links),
            "apart_s": near.apart_s,
            "same_kind": near.same_kind,
        }
        if near
        else None,
        "first_seen": iso(found.first_seen_ns),
        "last_seen": iso(found.last_seen_ns),
        "still_happening": found.still_happening,
        "new_since": found.new_since,
    }


def _exemplar(found: Exemplar, links: Links | None) -> Object:
    told: Object = {"id": found.id, "trace_id": found.trace_id}
    return {**told, "link": links.trace(found.trace_id)} if links else told


def _finite(value: float | None) -> Any:
    return value if value is not None and math.isfinite(value) else None
