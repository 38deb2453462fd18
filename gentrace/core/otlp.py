"""OTLP JSON (``ExportTraceServiceRequest``) to spans, as tolerant as its many writers are loose.

Ids may be hex (the OTLP specification) or base64 (protobuf's own JSON mapping), integers may be
strings, enums numbers or names, keys camelCase or snake_case. Which file the text came from is
the sources' business.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, cast

from gentrace.core.spans import Event, Link, Span

_KIND_NUMBERS = ("INTERNAL", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS_NUMBERS = ("UNSET", "OK", "ERROR")
_HEX = frozenset("0123456789abcdefABCDEF")

Object = Mapping[str, Any]


def parse(line: bytes) -> Any:
    """The JSON of a line; bytes that are no UTF-8 cost the text that they stand in, no more.

    Raises:
        ValueError or RecursionError: it is no JSON.
    """
    return json.loads(line.decode("utf-8", "replace"))


def decode(request: Any) -> tuple[list[Span], int]:
    """The spans of one request, and how many more were there that could not be understood.

    An object of another signal (logs, metrics) or of none holds no spans and is no error.

    Raises:
        ValueError: this is not such an object at all.
    """
    spans: list[Span] = []
    damaged = 0
    for block in _list(_object(request), "resourceSpans", "resource_spans"):
        resource = attributes(_object(block).get("resource"))
        for group in _list(
            _object(block), "scopeSpans", "scope_spans", "instrumentationLibrarySpans"
        ):
            scope = str(_object(_object(group).get("scope") or {}).get("name") or "")
            for raw in _list(_object(group), "spans"):
                try:
                    spans.append(span(_object(raw), resource, scope))
                except (ValueError, TypeError, RecursionError):
                    damaged += 1
    return spans, damaged


def attributes(holder: Any) -> dict[str, Any]:
    """The ``attributes`` of a resource, span, event or link as a plain dict."""
    if not isinstance(holder, Mapping):
        return {}
    found: dict[str, Any] = {}
    for pair in _list(cast(Object, holder), "attributes"):
        entry = _object(pair)
        found[text(entry.get("key", ""))] = any_value(entry.get("value"))
    return found


def any_value(value: Any) -> Any:
    """An OTLP AnyValue as a Python value: str, bool, int, float, bytes, list, dict or None."""
    if value is None:
        return None
    for key, item in _object(value).items():
        match key:
            case "stringValue" | "string_value":
                return text(item)
            case "boolValue" | "bool_value":
                return item if isinstance(item, bool) else str(item).lower() == "true"
            case "intValue" | "int_value":
                return integer(item)
            case "doubleValue" | "double_value":
                return real(item)
            case "arrayValue" | "array_value":
                return [any_value(entry) for entry in _list(_object(item), "values")]
            case "kvlistValue" | "kvlist_value":
                return attributes({"attributes": _object(item).get("values")})
            case "bytesValue" | "bytes_value":
                return base64.b64decode(text(item))
            case _:
                continue
    return None


def span(raw: Object, resource: Mapping[str, Any], scope: str = "") -> Span:
    """One span of a request.

    Raises:
        ValueError or TypeError: it cannot be understood.
    """
    ended = _object(_object(raw).get("status") or {})
    name = raw.get("name")
    if not isinstance(name, str):
        raise ValueError("a span without a name")
    return Span(
        trace_id=identifier(_get(raw, "traceId", "trace_id"), 16),
        span_id=identifier(_get(raw, "spanId", "span_id"), 8),
        parent_id=parent(_get(raw, "parentSpanId", "parent_span_id")),
        name=text(name),
        kind=kind(raw.get("kind")),
        start_ns=time_ns(_get(raw, "startTimeUnixNano", "start_time_unix_nano")),
        end_ns=time_ns(_get(raw, "endTimeUnixNano", "end_time_unix_nano")),
        attributes=attributes(raw),
        events=tuple(_event(_object(event)) for event in _list(raw, "events")),
        links=tuple(_link(_object(link)) for link in _list(raw, "links")),
        status=status(ended.get("code")),
        status_message=text(ended.get("message") or ""),
        service=str(resource.get("service.name") or ""),
        instance=str(resource.get("service.instance.id") or ""),
        resource=resource,
        scope=scope,
    )


def _event(raw: Object) -> Event:
    at_ns = time_ns(_get(raw, "timeUnixNano", "time_unix_nano"))
    return Event(text(raw.get("name") or ""), at_ns, attributes(raw))


def _link(raw: Object) -> Link:
    return Link(
        identifier(_get(raw, "traceId", "trace_id"), 16),
        identifier(_get(raw, "spanId", "span_id"), 8),
        attributes(raw),
    )


def text(value: Any) -> str:
    """As text that can be written anywhere: JSON allows halves of characters, UTF-8 does not."""
    told = str(value)
    return told if told.isascii() else told.encode("utf-8", "replace").decode()


def integer(value: Any) -> int:
    """A number, or one in text, as an integer.

    Raises:
        ValueError: it is none, or endless.
    """
    try:
        return int(value)
    except (OverflowError, TypeError):
        raise ValueError("endless, or no number") from None


def real(value: Any) -> float:
    """A number, or one in text, as a float.

    Raises:
        ValueError: it is none, or larger than any float.
    """
    try:
        return float(value)
    except (OverflowError, TypeError):
        raise ValueError("larger than any float, or no number") from None


def time_ns(value: Any) -> int:
    """Unix nanoseconds; absent is 0.

    Raises:
        ValueError: it is no such time.
    """
    at_ns = integer(value or 0)
    if not 0 <= at_ns < 2**63:
        raise ValueError(f"not a time: {value!r}")
    return at_ns


def identifier(value: Any, size: int) -> str:
    """Lower-case hex of an id of ``size`` bytes given in hex or base64.

    Raises:
        ValueError: it is no such id.
    """
    if not isinstance(value, str):
        raise ValueError("an id that is not text")
    if len(value) == size * 2 and _HEX.issuperset(value):
        text = value.lower()
    else:
        try:
            text = base64.b64decode(value, validate=True).hex()
        except binascii.Error:
            raise ValueError(f"not an id: {value!r}") from None
    if len(text) != size * 2 or not text.strip("0"):
        raise ValueError(f"not an id of {size} bytes: {value!r}")
    return text


def parent(value: Any) -> str:
    """The id of a parent as :func:`identifier`; absent, empty and all-zero mean that there is none.

    Raises:
        ValueError: it is no such id.
    """
    if not value or (isinstance(value, str) and not value.strip("0")):
        return ""
    try:
        return identifier(value, 8)
    except ValueError:
        if isinstance(value, str) and not value.strip("A="):
            return ""  # eight zero bytes in base64
        raise


def kind(value: Any) -> str:
    """A span's kind, one of :data:`gentrace.core.spans.KINDS`."""
    return _enum(value, "SPAN_KIND_", _KIND_NUMBERS)


def status(code: Any) -> str:
    """A span's status, one of :data:`gentrace.core.spans.STATUSES`."""
    return _enum(code, "STATUS_CODE_", _STATUS_NUMBERS)


def _enum(value: Any, prefix: str, numbers: tuple[str, ...]) -> str:
    """The short name of an enum given as number, number in text or name; else the first."""
    if isinstance(value, str) and not value.isdigit():
        name = value.upper().removeprefix(prefix)
        return name if name in numbers else numbers[0]
    try:
        return numbers[integer(value or 0)]
    except (IndexError, ValueError, TypeError):
        return numbers[0]


def _get(raw: Object, *spellings: str) -> Any:
    return next((raw[key] for key in spellings if key in raw), None)


def _object(value: Any) -> Object:
    if not isinstance(value, Mapping):
        raise ValueError("an object was expected")
    return cast(Object, value)


def _list(raw: Object, *spellings: str) -> list[Any]:
    """The list under the first spelling that is there; an absent one is empty."""
    value = _get(raw, *spellings)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{spellings[0]}: a list was expected")
    return cast(list[Any], value)
