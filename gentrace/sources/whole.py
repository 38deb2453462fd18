"""Whole spans of OTLP JSON, span by span: quick where it is laid out as its writers do.

A line may hold a whole trace. Only its outline is taken apart at first, and each of its spans when
its turn comes. What is laid out otherwise (snake_case, other types, bytes that are no UTF-8) is
left to :mod:`gentrace.core.otlp`, which decides what is damaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.json import Decoder

from gentrace.core import otlp
from gentrace.core.spans import Event, Link, Span
from gentrace.sources.typed import UNFIT, Value, plain

_MOST_WORDS = 50_000
_NOTHING: Mapping[str, Any] = {}
_FIRST = 0
_Ignored = Raw | UnsetType


class _Pair(Struct, gc=False, forbid_unknown_fields=True):
    key: str
    value: Value | None = None


class _Event(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    time_unix_nano: str | int = _FIRST
    name: str = ""
    attributes: list[_Pair] | UnsetType = UNSET
    dropped_attributes_count: _Ignored = UNSET


class _Link(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    trace_id: str
    span_id: str
    attributes: list[_Pair] | UnsetType = UNSET
    trace_state: _Ignored = UNSET
    flags: _Ignored = UNSET
    dropped_attributes_count: _Ignored = UNSET


class _Status(Struct, gc=False, forbid_unknown_fields=True):
    code: int | str = _FIRST
    message: str = ""


class _Span(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    trace_id: str
    span_id: str
    name: str
    parent_span_id: str = ""
    kind: int | str = _FIRST
    start_time_unix_nano: str | int = _FIRST
    end_time_unix_nano: str | int = _FIRST
    attributes: list[_Pair] | UnsetType = UNSET
    events: list[_Event] | UnsetType = UNSET
    links: list[_Link] | UnsetType = UNSET
    status: _Status | UnsetType = UNSET
    trace_state: _Ignored = UNSET
    flags: _Ignored = UNSET
    dropped_attributes_count: _Ignored = UNSET
    dropped_events_count: _Ignored = UNSET
    dropped_links_count: _Ignored = UNSET


class _ScopeName(Struct, gc=False):
    name: str = ""


class _Scope(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    spans: list[Raw] | UnsetType = UNSET
    scope: _ScopeName | UnsetType = UNSET
    schema_url: _Ignored = UNSET


class _Resource(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    scope_spans: list[_Scope] | UnsetType = UNSET
    resource: Raw = Raw(b"{}")
    schema_url: _Ignored = UNSET


class _Request(Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    resource_spans: list[_Resource] | UnsetType = UNSET
    resource_logs: _Ignored = UNSET
    resource_metrics: _Ignored = UNSET


_request = Decoder(_Request).decode
_span = Decoder(_Span).decode


class Spans:
    """Decodes line after line; what many spans say is kept once.

    Attributes:
        damaged: how many spans could not be understood so far.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._resources: dict[bytes, Mapping[str, Any]] = {}
        self._words: dict[Any, Any] = {}
        self._trace = ("", "")

    def of(self, line: bytes) -> Iterator[Span]:
        """The spans of a line.

        Raises:
            ValueError or RecursionError: it is none, before the first span is given.
        """
        try:
            blocks = _request(line).resource_spans or ()
        except UNFIT:
            spans, damaged = otlp.decode(otlp.parse(line))
            self.damaged += damaged
            return iter(spans)
        found = [(self._resource(block.resource), block.scope_spans or ()) for block in blocks]
        return self._of(found)

    def _of(self, blocks: Sequence[tuple[Mapping[str, Any], Sequence[_Scope]]]) -> Iterator[Span]:
        for resource, groups in blocks:
            for group in groups:
                scope = self._kept(group.scope.name) if group.scope else ""
                for raw in group.spans or ():
                    found = self._span(raw, resource, scope)
                    if found is not None:
                        yield found

    def _span(self, raw: Raw, resource: Mapping[str, Any], scope: str) -> Span | None:
        try:
            return self._made(_span(raw), resource, scope)
        except (*UNFIT, TypeError):
            pass
        try:
            return otlp.span(otlp.parse(bytes(raw)), resource, scope)
        except (ValueError, TypeError, RecursionError):
            self.damaged += 1
            return None

    def _made(self, told: _Span, resource: Mapping[str, Any], scope: str) -> Span:
        given, trace_id = self._trace
        if told.trace_id != given:
            trace_id = otlp.identifier(told.trace_id, 16)
            self._trace = told.trace_id, trace_id
        status = told.status or _Status()
        return Span(
            trace_id,
            otlp.identifier(told.span_id, 8),
            otlp.parent(told.parent_span_id),
            self._kept(told.name),
            otlp.kind(told.kind),
            otlp.time_ns(told.start_time_unix_nano),
            otlp.time_ns(told.end_time_unix_nano),
            self._attributes(told.attributes),
            tuple(map(self._event, told.events)) if told.events else (),
            tuple(map(self._link, told.links)) if told.links else (),
            otlp.status(status.code),
            status.message,
            str(resource.get("service.name") or ""),
            str(resource.get("service.instance.id") or ""),
            resource,
            scope,
        )

    def _event(self, told: _Event) -> Event:
        at_ns = otlp.time_ns(told.time_unix_nano)
        return Event(self._kept(told.name), at_ns, self._attributes(told.attributes))

    def _link(self, told: _Link) -> Link:
        ids = otlp.identifier(told.trace_id, 16), otlp.identifier(told.span_id, 8)
        return Link(*ids, self._attributes(told.attributes))

    def _attributes(self, pairs: list[_Pair] | UnsetType) -> Mapping[str, Any]:
        if not pairs:
            return _NOTHING
        kept = self._kept
        return {
            kept(pair.key): None if pair.value is None else kept(plain(pair.value))
            for pair in pairs
        }

    def _kept(self, word: Any) -> Any:
        """The same word as the last time: a million spans tell of few."""
        if type(word) is not str:
            return word
        words = self._words
        if len(words) >= _MOST_WORDS:
            words.clear()
        return words.setdefault(word, word)

    def _resource(self, raw: Raw) -> Mapping[str, Any]:
        text = bytes(raw)
        found = self._resources.get(text)
        if found is None:
            found = self._resources[text] = otlp.attributes(otlp.parse(text))
        return found
