"""What one span has to say beside its name, in a few words; and the lines of its error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from typing import Any

from gentrace.analysis import failures
from gentrace.analysis.folding import Repeats, is_log
from gentrace.analysis.gaps import Gap
from gentrace.analysis.timeline import span_ns
from gentrace.analysis.tree import HTTP, SQL, Fold, http_call, library_of
from gentrace.analysis.tries import Try
from gentrace.core import names
from gentrace.core.spans import Event, Span, plain
from gentrace.report.words import asked, began, duration, joined, percent, short_type

_GAP_LOGS = 3
_KINDS = {True: ("try", "tries"), False: ("attempt", "attempts")}


def words(span: Span, number: int = 0) -> list[str]:
    """The attributes that matter for this kind of span, in short form.

    Args:
        number: which try of the run it is; 0 where there is but one.
    """
    if library_of(span) == HTTP:
        method, _, rest = http_call(span).partition(" ")
        return [rest if span.name.endswith(method) else f"{method} {rest}"]
    if library_of(span) == SQL:
        statement = span.text("db.query.text") or span.text("db.statement") or ""
        return [] if statement == span.name else [statement]
    told = [word for word in _told(span, number) if word]
    caller = span.text(names.CALLER)
    if caller and caller != "request":
        told.append(f"by {caller}")
    missing = span.attributes.get(names.INCOMPLETE)
    if missing and span.name != names.RUN:
        told.append(f"incomplete: {plain(missing)}")
    return told


def _told(span: Span, number: int) -> list[str | None]:
    text = span.text
    if span.kind == "SERVER":
        return [*codes(span)[:1], _labelled("returned", text(names.RETURNED_ID))]
    if span.kind == "PRODUCER":
        outcome, defer = text(names.ENQUEUE_OUTCOME), span.attributes.get(names.ENQUEUE_DEFER)
        wait = f"in {duration(span_ns(defer))}" if isinstance(defer, int | float) else None
        return [
            _own_function(span),
            None if outcome == "enqueued" else outcome,
            wait if defer else None,
        ]
    if span.kind == "CONSUMER":
        attempt, outcome = text(names.JOB_TRY), text(names.JOB_OUTCOME)
        status = joined((text(names.JOB_STATUS), text(names.JOB_REASON)), ": ")
        told = f"ARQ's try {attempt}" if number else f"try {attempt}"
        again = told if attempt not in (None, "1", str(number)) else None
        over = f"→ {status}" if status else None
        return [
            _own_function(span),
            joined((f"try {number}" if number else None, over if not again else None), " "),
            joined((again, over), " ") if again else None,
            None if outcome == "succeeded" else outcome,
        ]
    match span.name:
        case names.RUN:
            run = span.attributes.get(names.GENERATION_RUN)
            later = isinstance(run, int) and run > 1
            # The rest is what stands above the tree.
            return [f"run {run}" if later else None, text(names.OUTCOME)]
        case names.CREATE_GENERATION:
            return [
                text(names.OPERATION),
                asked(text(names.PROVIDER), text(names.MODEL)),
                _labelled("dedup", text(names.DEDUP_RESULT)),
                _labelled("cache", text(names.CACHE_RESULT)),
                _labelled("returned", text(names.RETURNED_ID)),
            ]
        case names.HASH:
            return [(text(names.GENERATION_HASH) or "")[:12]]
        case names.DEDUP | names.CACHE:
            result = text(names.DEDUP_RESULT if span.name == names.DEDUP else names.CACHE_RESULT)
            return [result, _labelled("generation", text(names.FOUND_ID))]
        case names.ACCOUNT_SELECT | names.ACCOUNT_CREDITS:
            enough = span.attributes.get(names.CREDITS_SUFFICIENT)
            call = text(names.ACCOUNT_CALL)
            return [
                _labelled("account", text(names.ACCOUNT_ID)),
                "too few credits" if enough is False else None,
                None if call in (None, span.name) else call.rpartition(".")[2],
            ]
        case names.PROVIDER_EXECUTE:
            attempt = text(names.ATTEMPT)
            return [
                asked(text(names.PROVIDER), text(names.MODEL)),
                f"attempt {attempt}" if attempt not in (None, "0", "1") else None,
                _labelled("job", text(names.PROVIDER_JOB_ID)),
            ]
        case names.PROVIDER_POLL | names.PROVIDER_WAIT:
            progress = span.attributes.get(names.PROVIDER_PROGRESS)
            return [
                text(names.PROVIDER_STATUS),
                percent(progress) if isinstance(progress, float) and 0 <= progress < 1 else None,
                _labelled("polls", text(names.POLLS)),
            ]
        case names.FINISH:
            return [_change({names.STATUS: text(names.OUTCOME), **_committed(span)})]
        case names.STATUS_CHANGE:
            return [_change(span.attributes)]
        case _:
            return []


def codes(span: Span) -> list[str]:
    """The status codes of an HTTP span, in both conventions."""
    names_ = ("http.response.status_code", "http.status_code")
    return [code for name in names_ if (code := span.text(name)) is not None]


def fold_words(fold: Fold) -> tuple[str, str]:
    """A fold's name and what it holds: ``12 SQL 8.2 ms``, ``SELECT x9, UPDATE x3``."""
    count = f"{len(fold.spans)} {fold.library}"
    return (count if len(fold.spans) == 1 else f"{count} {duration(fold.busy_ns)}"), fold.what


def repeats_words(repeats: Repeats) -> tuple[str, str]:
    """A line of several tries or attempts, and what it stands for: ``tries 3-6, as 1 and 2``."""
    first, last = repeats.told[0], repeats.told[-1]
    what = _KINDS[isinstance(first, Try)]
    name = first.span.name if first is last else f"{len(repeats.told)} × {first.span.name}"
    many = first is not last
    number = f"{first.number}-{last.number}" if many else str(first.number)
    which = f"{what[many]} {number}"
    like = " and ".join(map(str, repeats.like))
    return name, f"{which}, as {what[len(repeats.like) > 1]} {like}"


def gap_words(gap: Gap) -> str:
    """What stands around a gap, and what the host logged in it."""
    told = [
        f"after {gap.after.name}" if gap.after else "from its start",
        f"before {gap.before.name}" if gap.before else "until its end",
    ]
    if gap.logged:
        logged = [event.name for event in gap.logged[:_GAP_LOGS]]
        more = len(gap.logged) - len(logged)
        told.append(f"logged {', '.join(logged)}" + (f" and {more} more" if more else ""))
    return ", ".join(told)


def left_out(logs: int, repeats: Iterable[Repeats]) -> str:
    """What a view folded away, and how to see it; empty where nothing was.

    Args:
        logs: how many log events of the host.
    """
    told = [f"{logs} log event{'s' * (logs > 1)}"] if logs else []
    kinds = Counter(_KINDS[isinstance(one, Try)] for each in repeats for one in each.told)
    told += [f"{count} {kind[count > 1]}" for kind, count in kinds.items()]
    be = "is" if sum(kinds.values()) + logs == 1 else "are"
    return f"{' and '.join(told)} {be} folded; --all shows them" if told else ""


def events(span: Span, logs: Set[tuple[str, int]] | None = None) -> list[Event]:
    """The events worth a line: not what the span's own words or error lines tell already.

    Args:
        logs: the log events that are, by the span's id and their place; None where all are.
    """
    committed = _committed(span)
    return [
        event
        for place, event in enumerate(span.events)
        if not (event.name == names.EVENT_EXCEPTION and span.failed)
        and not (committed and event.attributes is committed)
        and (logs is None or not is_log(event.name) or (span.span_id, place) in logs)
    ]


def _committed(span: Span) -> Mapping[str, Any]:
    """The status change of a generation.finish span, if it holds one."""
    changes = [event.attributes for event in span.events if event.name == names.EVENT_STATUS]
    return changes[-1] if changes and span.name == names.FINISH else {}


_EVENT_WORDS = {
    names.EVENT_PROVIDER_STATUS: "provider says",
    names.EVENT_CACHE: "cache:",
    names.EVENT_ACCOUNT_RELEASED: "released account",
}


def event_words(event: Event) -> str:
    """An event in short."""
    if event.name == names.EVENT_EXCEPTION:
        kind = short_type(_text(event.attributes.get("exception.type")))
        return f"caught {joined((kind, _text(event.attributes.get('exception.message'))), ': ')}"
    if event.name == names.EVENT_STATUS:
        return f"status {_change(event.attributes)}"
    if event.name in _EVENT_WORDS:
        rest = " ".join(plain(value) for value in event.attributes.values())
        return joined((_EVENT_WORDS[event.name], rest), " ")
    told = {name: value for name, value in event.attributes.items() if name != names.PAUSE}
    fields = (f"{name}={plain(value)}" for name, value in told.items())
    return joined((event.name, " ".join(fields)), " ")


def error_lines(span: Span, *, frames: int = 1) -> list[str]:
    """Code, type and message of a failing span, then where it began, or its whole stack."""
    exceptions = [event.attributes for event in span.events if event.name == names.EVENT_EXCEPTION]
    last: Mapping[str, Any] = exceptions[-1] if exceptions else {}
    kind = short_type(span.text(names.ERROR_TYPE) or _text(last.get("exception.type")))
    message = span.status_message or _text(last.get("exception.message")) or ""
    if kind and message.startswith(f"{kind}:"):
        message = message[len(kind) + 1 :].strip()
    head = joined((span.text(names.ERROR_CODE), kind), " ")
    lines = [joined((head, message), ": ") or "failed"]
    stack = (_text(last.get("exception.stacktrace")) or "").splitlines()
    where = failures.stack(span) if frames > 1 else []
    where = where or [line.strip() for line in stack if line.lstrip().startswith("File ")]
    if not where and (place := failures.place(span)) is not None:
        where = [began(span.text(names.ERROR_CAUSE), place)]
    return lines + where[-frames:] if frames else lines


def _change(attributes: Mapping[str, Any]) -> str:
    before, after = attributes.get(names.STATUS_PREVIOUS), attributes.get(names.STATUS)
    return f"{plain(before)} → {plain(after)}" if before is not None else f"→ {plain(after)}"


def _own_function(span: Span) -> str | None:
    """The host's own name of a job's function; not where in its code the job failed."""
    told = span.text(names.CODE_FUNCTION)
    return None if told is None or ":" in told else told


def _labelled(label: str, value: str | None) -> str | None:
    return f"{label} {value}" if value is not None else None


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else plain(value)
