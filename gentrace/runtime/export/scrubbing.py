"""The last step before a span leaves: allow-listed attributes, scrubbed texts, the resource.
Spans that carry texts are marked as scrubbed, for the Collector's own redaction.

Names, events and URLs may hold the generation's own prompt (a provider's path, what the host wrote
on a span of ours): it is taken out where this process knows it.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status

from gentrace.core import names
from gentrace.core.scrub import URLS, Scrubber
from gentrace.runtime import context

OWN_SCOPE = "gentrace"
_KEY_BYTES = 32
# What may be a text: words, percent-encoded or other than ASCII. What collector-config.yaml takes
# for one is among it.
_TEXT = re.compile(r"\s|%[0-9A-Fa-f]{2}|[^\x00-\x7f]")
_PLAIN_NAME = re.compile(r"(?:[A-Z]{3,}|enqueue) [!-~]+")
_OUR_EVENTS = ("generation.", "gentrace.", "exception.", "code.")
_OUTLINES = frozenset({"db.statement", "db.query.text"})


class OfAnother(Resource):
    """The resource of another process, in whose place a span is written."""


def installation_key(folder: Path) -> bytes:
    """The installation's HMAC key, made once beside the spool; a random one where that fails."""
    path = folder.parent / f"{folder.name}.key"
    try:
        key = path.read_bytes()
        if len(key) == _KEY_BYTES:
            return key
    except OSError:
        pass
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(key)
    except FileExistsError:
        try:
            return path.read_bytes() or key
        except OSError:
            return key
    except OSError:
        return key
    return key


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


def _clean(span: Any, resource: Any, scrubber: Scrubber) -> ReadableSpan:
    scope: InstrumentationScope | None = span.instrumentation_scope
    own = scope is not None and scope.name == OWN_SCOPE
    attributes = _attributes(span.attributes, scrubber)
    run = context.find(attributes.get(names.GENERATION_ID))
    prompts = run.prompts if run is not None else ()
    for url in URLS & attributes.keys() if prompts else ():
        attributes[url] = scrubber.without_prompts(unquote(attributes[url]), prompts)
    name = _name(span.name, scrubber, prompts)
    if "db.system" in attributes or "db.system.name" in attributes:
        operation, _, database = name.partition(" ")
        name = f"{operation} {_file_name(database)}".rstrip()
        for key in ("db.name", "db.namespace"):
            if isinstance(attributes.get(key), str):
                attributes[key] = _file_name(attributes[key])
        for key in ("db.operation", "db.operation.name"):
            if isinstance(attributes.get(key), str):
                attributes[key] = attributes[key].partition(" ")[0]  # the database follows
    links = [Link(link.context, _attributes(link.attributes, scrubber)) for link in span.links]
    kinds = [str((link.attributes or {}).get(names.LINK, "")) for link in links]
    if any(kinds):
        attributes[names.LINKS] = tuple(kinds)
    status = _own_status(span.status, scrubber, prompts) if own else _status(span)
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
    return PurePath(database).name or database


def _attributes(attributes: Any, scrubber: Scrubber) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in (attributes or {}).items():
        allowed = scrubber.attribute(name, value)
        if allowed is not None:
            kept[name] = allowed
    return kept


def _event(event: Any, scrubber: Scrubber, prompts: Sequence[str]) -> Event:
    attributes: dict[str, Any] = {}
    for name, value in (event.attributes or {}).items():
        allowed = scrubber.on_event(event.name, name, value)
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


def _status(span: Any) -> Status:
    """A library's status keeps the exception's type, if that is what it begins with."""
    status = span.status
    head = (status.description or "").partition(":")[0].strip()
    known = [(event.attributes or {}).get("exception.type", "") for event in span.events]
    known.append((span.attributes or {}).get(names.ERROR_TYPE, ""))
    is_type = head in {str(kind).rpartition(".")[2] for kind in known} | {str(k) for k in known}
    return Status(status.status_code, head if head and is_type and not status.is_ok else None)
