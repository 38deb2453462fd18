"""What a Collector keeps: the spans of its JSON lines as plain dicts, its log, its metrics."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.otlp_receiver import Span, spans_of
from tools.servers import CollectorServer

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_SAMPLE = re.compile(r"(\w+)(?:\{(.*?)\})? ([^ ]+)(?: #.*)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_LEVEL = re.compile(r"^\S+\t(warn|error|dpanic|panic|fatal)\t", re.MULTILINE)


class Sample(NamedTuple):
    """One number of a Prometheus page."""

    name: str
    labels: dict[str, str]
    value: float


def spans(folder: Path) -> list[Span]:
    """The spans in its files as an OTLP receiver would show them; every line is a whole one."""
    found: list[Span] = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            request = ParseDict(_base64_ids(json.loads(line)), ExportTraceServiceRequest())
            found += spans_of(request)
    return found


def _base64_ids(value: Any) -> Any:
    """OTLP's JSON has ids in hex where protobuf's own has base64."""
    if isinstance(value, list):
        return [_base64_ids(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(each)).decode() if key in _IDS else _base64_ids(each)
        for key, each in cast("dict[str, Any]", value).items()
    }


def by_id(found: Iterable[Span]) -> dict[tuple[str, str], Span]:
    """Each span once; one that was sent twice is the same."""
    return {(span["trace_id"], span["span_id"]): span for span in found}


def troubles(log: Path) -> list[str]:
    """The lines of its log that are warnings or worse."""
    text = log.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if _LEVEL.match(line)]


def metrics(url: str) -> list[Sample]:
    """The samples of a Prometheus page."""
    page = httpx.get(url, trust_env=False, timeout=10).raise_for_status().text
    found: list[Sample] = []
    for line in page.splitlines():
        if not line.startswith("#") and (sample := _SAMPLE.fullmatch(line)):
            labels = dict(_LABEL.findall(sample[2] or ""))
            found.append(Sample(sample[1], labels, float(sample[3])))
    return found


def counts(collector: CollectorServer, by: Mapping[str, str]) -> dict[str, float]:
    """How many runs it has counted by outcome, of those with these labels."""
    found: dict[str, float] = {}
    for name, labels, value in metrics(collector.prometheus):
        if name == "generation_calls_total" and by.items() <= labels.items():
            outcome = labels["generation_outcome"]
            found[outcome] = found.get(outcome, 0) + value
    return found
