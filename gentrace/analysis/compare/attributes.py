"""Which attributes differ between two runs, without what differs between any two."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gentrace.analysis.runs import Run
from gentrace.analysis.story import Story
from gentrace.analysis.tree import SQL, library_of
from gentrace.core import names
from gentrace.core.spans import Span, plain

_ONE_ID = (names.GENERATION_ID, names.PROVIDER_JOB_ID, names.SUBMISSION_ID)
_IDS = frozenset(
    {*_ONE_ID, names.MESSAGING_MESSAGE_ID, names.PROCESSES, names.LINKS, names.SQL_COUNT,
     names.SQL_TIME, names.SCRUBBED, names.LOG_EVENTS_LEFT_OUT}
)  # fmt: skip
_OF_THE_RUN = (
    *(
        name
        for name, told in names.ATTRIBUTES.items()
        if "run" in told.on.split(", ") and name not in {*_IDS, *names.TIMES.values()}
    ),
    names.ERROR_CODE,
    names.ERROR_TYPE,
)
# Of any connection and any thread, never of the generation
_ACCIDENTAL = re.compile(
    r"thread\.|(net|network|client|server)\.(sock\.)?(peer\.|host\.)?(port|address)$|net\.peer\.|"
    r"http\.(request|response)\.(header|body)|http\.response_content_length|user_agent|"
    r"net\.sock\.|code\.(line|file|function)"
)
_RESOURCE = ("service.version", "process.runtime.version", "telemetry.sdk.version")


@dataclass(frozen=True, slots=True)
class Differing:
    """An attribute with two values.

    Attributes:
        path: where its first spans are; None for one of the whole run.
        a: its value as text; None where A has it not.
    """

    name: str
    path: str | None
    a: str | None
    b: str | None


def differing(a: Story, b: Story) -> list[Differing]:
    """Those of the runs first, then those of spans on the same path, each pair of values once."""
    found = [*_of_runs(a.run, b.run)]
    seen = {(each.name, each.a, each.b) for each in found}
    known = frozenset(_OF_THE_RUN) - {names.ERROR_CODE, names.ERROR_TYPE}
    ids_a, ids_b = _ids(a.run), _ids(b.run)
    spans_a, spans_b = a.occurrences(), b.occurrences()
    for path in (path for path in spans_a if path in spans_b):
        if library_of(spans_a[path][0]) == SQL:
            continue
        one, other = spans_a[path][0].attributes, spans_b[path][0].attributes
        for name in dict.fromkeys((*one, *other)):
            if name in known or name in _IDS or _ACCIDENTAL.search(name):
                continue
            told, against = _text(one, name), _text(other, name)
            if told == against or _without(told, ids_a) == _without(against, ids_b):
                continue
            if (name, told, against) not in seen:
                seen.add((name, told, against))
                found.append(Differing(name, path, told, against))
    return found


def _of_runs(a: Run, b: Run) -> Iterator[Differing]:
    for name in _OF_THE_RUN:
        told, against = _of_run(a, name), _of_run(b, name)
        if told != against:
            yield Differing(name, None, told, against)
    for name in _RESOURCE:
        told, against = (_resources(run, name) for run in (a, b))
        if told != against and told and against:
            yield Differing(name, None, told, against)


def _of_run(run: Run, name: str) -> str | None:
    match name:
        case names.OUTCOME:
            return run.outcome
        case names.ACCOUNT_ID:
            return run.account
        case names.STAGE:
            return run.stage
        case names.ERROR_CODE:
            return run.error_code
        case names.ERROR_TYPE:
            return run.error_type
        case names.ERROR_CAUSE:
            return run.error_cause
        case names.ERROR_MESSAGE:
            return run.error_message
        case names.ERROR_HTTP_STATUS:
            return str(run.error_http_status) if run.error_http_status is not None else None
        case names.INCOMPLETE:
            return ",".join(sorted(run.incomplete)) or None
        case _:
            return run.parts.first(name)


def _resources(run: Run, name: str) -> str:
    return ",".join(sorted({text for s in run.parts.spans if (text := _resource(s, name))}))


def _resource(span: Span, name: str) -> str | None:
    value: Any = span.resource.get(name)
    return None if value is None else plain(value)


def _ids(run: Run) -> re.Pattern[str] | None:
    """The ids that are this run's own: texts that differ in them alone say the same."""
    told = {run.id or "", run.trace_id}
    for name in (*_ONE_ID, names.MESSAGING_MESSAGE_ID):
        told |= run.values(name)
    words = sorted((re.escape(word) for word in told if word), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])") if words else None


def _text(attributes: Mapping[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    return None if value is None else plain(value)


def _without(text: str | None, ids: re.Pattern[str] | None) -> str | None:
    return text if text is None or ids is None else ids.sub("ID", text)
