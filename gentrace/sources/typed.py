"""OTLP JSON as its writers spell it, decoded no further than is asked for.

A file has twenty-five spans to a run, and one of them is the run's own. msgspec passes quickly over
what has no place in the structures below, whatever the order of keys and the spaces between them,
and still notices a line that is no JSON. A line in another spelling (snake_case, other types) fits
none of them, and is left to :mod:`gentrace.core.otlp`.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, MsgspecError, Raw, Struct, UnsetType
from msgspec.json import Decoder

from gentrace.core import otlp

UNFIT = (MsgspecError, ValueError, RecursionError)
"""What decoding raises where a line is laid out otherwise, or is damaged."""

Buffer = bytes | memoryview | Raw
_Skipped = Raw | UnsetType


class SpanHead(Struct, rename="camel", gc=False):
    """What is looked at of every span; its attributes as they stand in the line."""

    name: str
    trace_id: str
    span_id: str
    start_time_unix_nano: str | int | UnsetType = UNSET
    end_time_unix_nano: str | int | UnsetType = UNSET
    attributes: Raw | UnsetType = UNSET


class _Scope(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    spans: list[SpanHead] | UnsetType = UNSET
    scope: _Skipped = UNSET
    schema_url: _Skipped = UNSET


class _Resource(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    scope_spans: list[_Scope] | UnsetType = UNSET
    resource: _Skipped = UNSET
    schema_url: _Skipped = UNSET


class _Request(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    resource_spans: list[_Resource] | UnsetType = UNSET
    resource_logs: _Skipped = UNSET
    resource_metrics: _Skipped = UNSET


class _RawScope(Struct, gc=False):
    spans: list[Raw] | UnsetType = UNSET


class _RawResource(Struct, rename="camel", gc=False):
    scope_spans: list[_RawScope] | UnsetType = UNSET


class _RawRequest(Struct, rename="camel", gc=False):
    resource_spans: list[_RawResource] | UnsetType = UNSET


class Pair(Struct, gc=False):
    """An attribute, its value as it stands in the line; :func:`value` reads it."""

    key: str
    value: Raw


class Value(Struct, rename="camel", forbid_unknown_fields=True):
    """An attribute's value; :func:`plain` says what it is."""

    string_value: str | UnsetType = UNSET
    int_value: str | int | UnsetType = UNSET
    double_value: float | str | UnsetType = UNSET
    bool_value: bool | UnsetType = UNSET
    array_value: _List | UnsetType = UNSET


class _List(Struct, forbid_unknown_fields=True):
    values: list[Value] | UnsetType = UNSET


_request = Decoder(_Request).decode
_raw_request = Decoder(_RawRequest).decode
_pairs = Decoder(list[Pair]).decode
_value = Decoder(Value).decode


def heads(line: Buffer) -> list[SpanHead]:
    """Every span of a line, in its order.

    Raises:
        any of :data:`UNFIT`: the line is laid out otherwise, or is damaged.
    """
    resources = _request(line).resource_spans or ()
    scopes = (scope for each in resources for scope in each.scope_spans or ())
    return [span for scope in scopes for span in scope.spans or ()]


def raw_spans(line: Buffer) -> list[Raw]:
    """The bytes of every span of a line that :func:`heads` understands, in the same order.

    Raises:
        any of :data:`UNFIT`.
    """
    resources = _raw_request(line).resource_spans or ()
    scopes = (scope for each in resources for scope in each.scope_spans or ())
    return [span for scope in scopes for span in scope.spans or ()]


def pairs(attributes: Buffer) -> list[Pair]:
    """The attributes of a span.

    Raises:
        any of :data:`UNFIT`: they are laid out otherwise, or are no attributes.
    """
    return _pairs(attributes)


def value(text: Buffer) -> Any:
    """An attribute's value, as :func:`otlp.any_value` gives it.

    Raises:
        ValueError or TypeError: it cannot be understood.
    """
    try:
        return plain(_value(text))
    except UNFIT:
        return otlp.any_value(otlp.parse(bytes(text)))


def plain(value: Value) -> Any:
    """As :func:`otlp.any_value`.

    Raises:
        ValueError: it is no such number.
    """
    if value.string_value is not UNSET:
        return value.string_value
    if value.double_value is not UNSET:
        return otlp.real(value.double_value)
    if value.int_value is not UNSET:
        return otlp.integer(value.int_value)
    if value.bool_value is not UNSET:
        return value.bool_value
    if value.array_value is not UNSET:
        return [plain(each) for each in value.array_value.values or ()]
    return None
