"""Durations, moments and outcomes in few characters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gentrace.analysis import failures
from gentrace.analysis.failures import Place
from gentrace.analysis.runs import Run
from gentrace.core.run.times import State

STYLES = {
    "completed": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "unfinished": "cyan",
}


def duration(span_ns: int) -> str:
    """At most seven characters: ``0.4 ms``, ``82 ms``, ``1.24 s``, ``3m 12s``, ``2h 05m``."""
    ms = span_ns / 1e6
    if ms < 0.05:
        return "0 ms"
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    seconds = span_ns / 1e9
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 48 * 3600:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600:02d}h"


def signed(span_ns: int) -> str:
    """A difference of durations, with its sign: ``+38.1 s``, ``-453 ms``, ``0 ms``."""
    text = duration(abs(span_ns))
    return text if text == "0 ms" else ("+" if span_ns > 0 else "-") + text


def age(at_ns: int, now_ns: int) -> str:
    """How long ago, in its largest unit: ``8 s``, ``5 min``, ``3 h``, ``2 d``."""
    seconds = max(0, now_ns - at_ns) // 1_000_000_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def clock(at_ns: int, now_ns: int) -> str:
    """Local time; the date too where it is not today's: ``14:02:11``, ``Nov 22 14:02``."""
    at, now = datetime.fromtimestamp(at_ns / 1e9), datetime.fromtimestamp(now_ns / 1e9)
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    if at.year == now.year:
        return f"{at:%b %d %H:%M}"
    return f"{at:%Y-%m-%d}"


def moment(at_ns: int) -> str:
    """Local date and time with its zone: ``2026-07-02 14:02:11 UTC``."""
    at = datetime.fromtimestamp(at_ns / 1e9).astimezone()
    return f"{at:%Y-%m-%d %H:%M:%S %Z}".strip()


def shares(spent_ns: dict[State, int]) -> list[tuple[State, int, float]]:
    """State, nanoseconds and share of the whole, the longest first; what was 0 is left out."""
    total = sum(spent_ns.values())
    ordered = sorted(spent_ns.items(), key=lambda item: -item[1])
    return [(state, ns, ns / total) for state, ns in ordered if ns and total]


def percent(share: float) -> str:
    """``38 %``; ``<1 %`` for little."""
    return "<1 %" if share < 0.005 else f"{share:.0%}".replace("%", " %")


def joined(parts: Iterable[str | None], between: str = " · ") -> str:
    """The parts that are there, on one line."""
    return between.join(part for part in parts if part)


def error(code: str | None, kind: str | None) -> str:
    """An error's code and its exception's class, once where they are the same word."""
    return joined(dict.fromkeys((code, short_type(kind))), " ")


def reason(run: Run) -> str:
    """Why a run failed, on one line: what its class leaves open, and where it began.

    ``ProviderError HTTP 502: The provider answered 502``, ``ProviderError (NameError in
    app/…/adapter.py:123)``.
    """
    kind = error(run.error_code, run.error_type)
    if run.error_http_status is not None:
        kind = joined((kind, f"HTTP {run.error_http_status}"), " ")
    words = run.error_message or ""
    words = "" if failures.is_mark(words) else words
    told = joined((kind, words), ": ")
    cause, place = run.error_cause, run.error_place
    if cause is None or (cause == run.error_type and (words or place is None)):
        return told
    return joined((told, f"({began(cause, place, brief=True)})"), " ")


def began(cause: str | None, place: Place | None, *, brief: bool = False) -> str:
    """What a failure began with, and where: ``NameError in app/…/worker.py:12 process``."""
    if place is None:
        return short_type(cause) or ""
    folders = place.file.split("/")
    file = f"{folders[0]}/…/{folders[-1]}" if len(folders) > 2 else place.file
    function = "" if brief else f" {place.function.rpartition('.')[2]}" if place.function else ""
    return joined((short_type(cause), f"{file}:{place.line}{function}"), " in ")


def asked(provider: str | None, model: str | None) -> str:
    """``provider/model``."""
    return joined((provider, model), "/")


def short_type(name: str | None) -> str | None:
    """An exception's class without its module."""
    return name.rpartition(".")[2] if name else None
