"""A search as each version of Jaeger's API takes it. Times go in as Unix nanoseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Query:
    """A search: traces with one span of that service that starts in that time, with all tags."""

    service: str
    since_ns: int
    until_ns: int
    limit: int
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def smaller(self) -> Query:
        """The same for half as many traces."""
        return replace(self, limit=self.limit // 2)


def v1(query: Query) -> dict[str, Any]:
    """For ``/api/traces``: whole microseconds, rounded outwards."""
    asked: dict[str, Any] = {
        "service": query.service,
        "start": query.since_ns // 1_000,
        "end": -(-query.until_ns // 1_000),
        "limit": query.limit,
    }
    return {**asked, "tags": as_json(query.tags)} if query.tags else asked


def v3(query: Query) -> dict[str, Any]:
    """For ``/api/v3/traces``: old releases know the first spelling, new ones prefer the second."""
    since, until = _rfc3339(query.since_ns), _rfc3339(query.until_ns)
    asked: dict[str, Any] = {
        "query.service_name": query.service,
        "query.serviceName": query.service,
        "query.start_time_min": since,
        "query.startTimeMin": since,
        "query.start_time_max": until,
        "query.startTimeMax": until,
        "query.num_traces": query.limit,
        "query.searchDepth": query.limit,
        "query.raw_traces": "true",
        "query.rawTraces": "true",
    }
    return {**asked, "query.attributes": as_json(query.tags)} if query.tags else asked


def as_json(tags: Mapping[str, str]) -> str:
    """Tags as both take them."""
    return json.dumps(dict(tags), separators=(",", ":"), ensure_ascii=False)


def _rfc3339(at_ns: int) -> str:
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns % 1_000_000_000:09d}Z"
