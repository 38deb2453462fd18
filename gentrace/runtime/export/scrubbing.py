"""The last step before a span leaves: allow-listed attributes, scrubbed texts, the resource.
Spans that carry texts are marked as scrubbed, for the Collector's own redaction.

Anything may hold the generation's own prompt (a provider's path, a job's id, what the host wrote on
a span of ours): it is taken out of all of it where this process knows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status

from gentrace.core import names
from gentrace.core.scrub import Scrubber
from gentrace.runtime import context

OWN_SCOPE = "gentrace"
# What may be a text: words, percent-encoded or other than ASCII. What collector-config.yaml takes
# for one is among it.
_TEXT = re.compile(r"\s|%[0-9A-Fa-f]{2}|[^\x00-\x7f]")
_PLAIN_NAME = re.compile(r"(?:[A-Z]{3,}|enqueue) [!-~]+")
_OUR_EVENTS = ("generation.", "gentrace.", "exception.", "code.")
_MOMENTS = frozenset({"started_at", "last_poll", "asking_since", "last_error_at"})
_OUTLINES = frozenset({"db.statement", "db.query.text"})


class OfAnother(Resource):
    """The resource of another process, in whose place a span is written."""


def clean(
    spans: Iterable[Any], resource: Any, scrubber: Scrubber, of_runs: Any = None
) -> list[ReadableSpan]:
    """Spans as they may leave: every name on the allow-list, every text scrubbed.

    Args:
        resource: theirs, but for one of ours that was made in another process's place.
        of_runs: that of the runs' own spans; ``resource`` where it is not given.
    """
    theirs = resource if of_runs is None else of_runs
    return [_clean(span, theirs if _is_of_run(span) else resource, scrubber) for span in spans]


def _is_of_run(span: Any) -> bool:
    """Whether it belongs to a run and to none of the processes, whichever of them writes it."""
    scope = span.instrumentation_scope
    return span.name in names.OF_THE_RECORD and scope is not None and scope.name == OWN_SCOPE


def clean_record(record: dict[str, Any], scrubber: Scrubber) -> dict[str, Any]:
    """What a process tells of itself, as it may leave; the profile's targets are the profile's."""
    cleaned: dict[str, Any] = {}
    for name, value in record.items():
        if name in ("jobs", "awaited"):
            cleaned[name] = _works(name, value, scrubber)
        else:
            cleaned[name] = value if name == "targets" else scrubber.record(value)
    return cleaned


def _works(name: str, given: dict[str, dict[str, Any]], scrubber: Scrubber) -> dict[str, Any]:
    """The jobs in hand by their ids, or what is waited for by its generation's: each of a run."""
    works: dict[str, Any] = {}
    for work_id, work in given.items():
        run = context.find(work.get("generation_id") if name == "jobs" else work_id)
        prompts = run.prompts if run is not None else ()
        works[scrubber.record(work_id, prompts)] = {
            field: value if field in _MOMENTS else scrubber.record(value, prompts)
            for field, value in work.items()
        }
    return works


def _clean(span: Any, resource: Any, scrubber: Scrubber) -> ReadableSpan:
    scope: InstrumentationScope | None = span.instrumentation_scope
    own = scope is not None and scope.name == OWN_SCOPE
    prompts = _prompts(span)
    attributes = _attributes(span.attributes, scrubber, prompts)
    name = _name(span.name, scrubber, prompts)
    if "db.system" in attributes or "db.system.name" in attributes:
        for key in ("db.name", "db.namespace"):
            if isinstance(attributes.get(key), str):
                attributes[key] = _file_name(attributes[key])
    links = [
        Link(link.context, _attributes(link.attributes, scrubber, prompts)) for link in span.links
    ]
    kinds = [str((link.attributes or {}).get(names.LINK, "")) for link in links]
    if any(kinds):
        attributes[names.LINKS] = tuple(kinds)
    status = (
        _own_status(span.status, scrubber, prompts) if own else _status(span, scrubber, prompts)
    )
    events = [_event(event, scrubber, prompts) for event in span.events]
    attributes.pop(names.SCRUBBED, None)  # whoever set it: only this vouches
    if (span.links or _has_texts(name, status, attributes, events)) and scrubber.works():
        attributes[names.SCRUBBED] = True
    return ReadableSpan(
        name=name,
        context=span.context,
        parent=span.parent,
        resource=span.resource if isinstance(span.resource, OfAnother) else resource,
        attributes=attributes,
        events=events,
        links=links,
        kind=span.kind,
        instrumentation_scope=scope,
        status=status,
        start_time=span.start_time,
        end_time=_end_ns(span),
    )


def _end_ns(span: Any) -> int | None:
    """A moment is told as a nanosecond: Jaeger 2 takes a span without length for a mistake."""
    return None if span.end_time is None else max(span.end_time, span.start_time + 1)


def _has_texts(
    name: str, status: Status, attributes: dict[str, Any], events: Iterable[Event]
) -> bool:
    """Whether a reader who does not know us could not tell that no private text is in it."""
    if status.description or (_is_text(name) and not _PLAIN_NAME.fullmatch(name)):
        return True
    if any(_is_text(value) for key, value in attributes.items() if key not in _OUTLINES):
        return True
    return any(
        _is_text(event.name)
        or any(
            _is_text(value) or not key.startswith(_OUR_EVENTS)
            for key, value in (event.attributes or {}).items()
        )
        for event in events
    )


def _is_text(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_text, value))
    return isinstance(value, str) and _TEXT.search(value) is not None


def _file_name(database: str) -> str:
    """SQLite's database is a file: its name without the folders of this machine."""
    if "/" not in database and "\\" not in database:
        return database
    return PurePath(database).name or database


def _prompts(span: Any) -> Sequence[str]:
    """The prompts of the run that a span is of, as far as this process knows them."""
    run = context.find((span.attributes or {}).get(names.GENERATION_ID))
    return run.prompts if run is not None else context.prompts_of(span.context.trace_id)


def _attributes(attributes: Any, scrubber: Scrubber, prompts: Sequence[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in (attributes or {}).items():
        allowed = scrubber.attribute(name, value, prompts)
        if allowed is not None:
            kept[name] = allowed
    return kept


def _event(event: Any, scrubber: Scrubber, prompts: Sequence[str]) -> Event:
    attributes: dict[str, Any] = {}
    for name, value in (event.attributes or {}).items():
        allowed = scrubber.on_event(event.name, name, value, prompts)
        if allowed is not None:
            attributes[name] = allowed
    if message := (event.attributes or {}).get("exception.message"):
        attributes["exception.message"] = scrubber.mark("message", str(message))
    return Event(_name(event.name, scrubber, prompts), attributes, event.timestamp)


def _name(name: str, scrubber: Scrubber, prompts: Sequence[str]) -> str:
    """A name of ours, or one that somebody made of what he had: a path, a message."""
    if name in names.SPANS:
        return name
    return scrubber.text(name, prompts)


def _own_status(status: Any, scrubber: Scrubber, prompts: Sequence[str]) -> Status:
    """Ours holds scrubbed words already; what the host wrote on our span does not."""
    description = status.description
    kept = scrubber.text(description, prompts) if description and status.is_ok is False else None
    return Status(status.status_code, kept)


def _status(span: Any, scrubber: Scrubber, prompts: Sequence[str]) -> Status:
    """A library's status keeps the exception's type, if that is what it begins with."""
    status = span.status
    head = (status.description or "").partition(":")[0].strip()
    known = [(event.attributes or {}).get("exception.type", "") for event in span.events]
    known.append((span.attributes or {}).get(names.ERROR_TYPE, ""))
    is_type = head in {str(kind).rpartition(".")[2] for kind in known} | {str(k) for k in known}
    kept = scrubber.text(head, prompts) if head and is_type and not status.is_ok else None
    return Status(status.status_code, kept)
