"""The table above ``show``'s tree: a line a try of a run that needed several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gentrace.analysis.tries import Attempt, Error, Try
from gentrace.report import words
from gentrace.report.terminal import wrapped, write
from gentrace.report.visible import visible

HEAD = ("try", "start", "took", "in", "ended")
_MOST, _SHOWN = 12, 5
_GAP = "  "
_RIGHT = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: of a try, of several that went alike, or of an attempt where a try made several."""

    cells: tuple[str, str, str, str]
    ended: str
    failed: bool


def print_tries(to: Console, tries: Sequence[Try], start_ns: int) -> None:
    """Print the table; nothing for a run of one try and one attempt.

    Args:
        start_ns: what the starts are counted from, Unix ns.
    """
    if len(tries) < 2 and sum(len(one.attempts) for one in tries) < 2:
        return
    workers = _workers(tries)
    lines = [line for group in _alike(tries) for line in _lines(group, workers, start_ns)]
    if len(lines) > _MOST:
        left_out = Line(("", "", "", ""), f"… {len(lines) - 2 * _SHOWN} more, see below", False)
        lines = [*lines[:_SHOWN], left_out, *lines[-_SHOWN:]]
    rows = [HEAD[:4], *(line.cells for line in lines)]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(4)]
    to.print()
    write(to, Text(_cells(HEAD[:4], widths) + HEAD[4], "dim"))
    left = sum(widths) + len(_GAP) * len(widths)
    for line in lines:
        style = "red" if line.failed else ""
        for number, text in enumerate(wrapped(line.ended, to.width - left)):
            write(
                to,
                Text.assemble(" " * left if number else _cells(line.cells, widths), (text, style)),
            )


def _cells(cells: Sequence[str], widths: Sequence[int]) -> str:
    made: list[str] = []
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - cell_len(cell))
        made.append(space + cell if column in _RIGHT else cell + space)
    return "".join(cell + _GAP for cell in made)


def _alike(tries: Sequence[Try]) -> Iterator[list[Try]]:
    """The tries, those that follow each other and went alike together."""
    group: list[Try] = []
    for one in tries:
        if group and one.like != (group[0].like or group[0].number):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _workers(tries: Sequence[Try]) -> dict[str, str]:
    """What each process is called: its service, and its number where there are several."""
    spans = {one.span.instance: one.span for one in tries}
    hosts = {span.resource.get("host.name") for span in spans.values()}
    found: dict[str, str] = {}
    for instance, span in spans.items():
        service, pid = span.service.rpartition("-")[2], span.resource.get("process.pid")
        name = str(pid) if pid is not None else instance[-8:]
        where = f"{span.resource.get('host.name')}:" if len(hosts) > 1 else ""
        found[instance] = visible(f"{service} {where}{name}" if len(spans) > 1 else service)
    return found


def _lines(group: Sequence[Try], workers: dict[str, str], start_ns: int) -> Iterator[Line]:
    first = group[0]
    number = _numbers([one.number for one in group])
    where = dict.fromkeys(workers[one.span.instance] for one in group)
    cells = (
        number,
        words.duration(max(0, first.span.start_ns - start_ns)),
        _took([one.span.duration_ns for one in group], first.span.open),
        ", ".join(where),
    )
    several = len(first.attempts) > 1
    yield Line(cells, ended(first, alone=not several), first.error is not None)
    for attempt in first.attempts if several else ():
        if not attempt.like:
            same = [one for one in first.attempts if attempt.number in (one.number, one.like)]
            yield _attempt(same, start_ns)


def _attempt(same: Sequence[Attempt], start_ns: int) -> Line:
    first = same[0]
    cells = (
        "",
        words.duration(max(0, first.span.start_ns - start_ns)),
        _took([one.span.duration_ns for one in same], first.span.open),
        "",
    )
    which = _numbers([one.number for one in same])
    what = "attempt" if len(same) == 1 else "attempts"
    told = _provider(first) or _error(first.error) or "submitted"
    return Line(cells, f"{what} {which}: {told}", first.error is not None)


def _numbers(numbers: Sequence[int]) -> str:
    """``1-3``, or ``1, 4`` where others lie between."""
    first, last = numbers[0], numbers[-1]
    if last - first == len(numbers) - 1 > 0:
        return f"{first}-{last}"
    return ", ".join(map(str, numbers))


def _took(spans_ns: Sequence[int], is_open: bool) -> str:
    if is_open:
        return "open"
    told = dict.fromkeys(words.duration(span_ns) for span_ns in (min(spans_ns), max(spans_ns)))
    return " - ".join(told)


def ended(one: Try, *, alone: bool = True) -> str:
    """How a try ended: what the job said, what ARQ made of it, what went wrong.

    Args:
        alone: with what became of its attempt.
    """
    if one.span.open:
        return "not over, as far as is known"
    said = words.joined((one.status, one.reason), ": ")
    outcome = None if one.outcome == "succeeded" and said else one.outcome
    if one.like:
        return words.joined((outcome, said, f"as try {one.like}"))
    attempt = one.attempts[0] if alone and one.attempts else None
    told = (outcome, said, _provider(attempt) if attempt else None, _error(one.error))
    return words.joined(told)


def _provider(attempt: Attempt) -> str | None:
    return f"provider says {attempt.status}" if attempt.status else None


def _error(error: Error | None) -> str | None:
    if error is None:
        return None
    return words.joined((words.error(error.code, error.type), error.message), ": ") or "failed"
