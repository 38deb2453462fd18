"""``compare A B`` for people: what differs between two runs, on the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gentrace.analysis.compare.divergence import OUTCOME, STRUCTURE, Divergence
from gentrace.analysis.compare.pairs import PairComparison, PathRow
from gentrace.analysis.story import BETWEEN, Story
from gentrace.report import words
from gentrace.report.links import Links
from gentrace.report.terminal import address, indented, say, wrapped, write

MOST_PATHS, MOST_ATTRIBUTES = 10, 12
_TELLING_NS = 1_000_000  # a path that differs by less is no line
_LONGEST_VALUE = 60
NO_DIVERGENCE = "no divergence: the same steps and outcomes, and no time differs by more than noise"
_HASH = re.compile(r"[0-9a-f]{32,}")


def print_pair(to: Console, found: PairComparison, links: Links | None = None) -> None:
    """What differs, the most telling first: times, the first divergence, paths, attributes."""
    for letter, one in (("A", found.a), ("B", found.b)):
        _header(to, letter, one, links)
    say(to, headline(found), "bold")
    to.print()
    _times(to, found)
    to.print()
    if found.divergence is not None:
        _first(to, found.divergence)
    else:
        say(to, NO_DIVERGENCE, "bold")
    telling = any(abs(row.difference_ns) >= _TELLING_NS for row in found.by_path)
    if telling and not found.by_states:
        to.print()
        _paths(to, found.by_path)
    if found.attributes:
        to.print()
        _attributes(to, found)
    if found.notes:
        to.print()
    for note in found.notes:
        say(to, f"• {note}", "yellow", "  ")


def headline(found: PairComparison) -> str:
    """The difference in a sentence, and the times that make most of it."""
    difference_ns = found.difference_ns
    if abs(difference_ns) < _TELLING_NS:
        head = "Both took the same time"
    else:
        longer = "longer" if difference_ns > 0 else "less"
        head = f"B took {words.duration(abs(difference_ns))} {longer} than A"
    if any(one.run.id is not None and one.run.outcome is None for one in (found.a, found.b)):
        head = f"So far {head[0].lower() if head.startswith('Both') else head[0]}{head[1:]}"
    rows = sorted(found.by_time.items(), key=lambda item: -abs(item[1][1] - item[1][0]))
    parts = [
        f"{state} {words.signed(b_ns - a_ns)}"
        for state, (a_ns, b_ns) in rows[:3]
        if abs(b_ns - a_ns) >= max(_TELLING_NS, abs(difference_ns) // 20)
    ]
    return f"{head}: {', '.join(parts)}" if parts else head


def title(one: Story) -> str:
    """Which run it is."""
    run = one.run
    if run.id is None:
        return "a request that made no run"
    return f"generation {run.id}" + (f" run {run.number}" if run.number > 1 else "")


def _header(to: Console, letter: str, one: Story, links: Links | None) -> None:
    outcome = one.run.outcome or "unfinished"
    line = Text(f"{letter}  {title(one)}  ", "bold")
    line.append(outcome, words.STYLES.get(outcome, "bold"))
    line.append(f"  {words.duration(one.total_ns)}")
    write(to, line)
    account = f"account {one.run.account}" if one.run.account else None
    asked = words.asked(one.run.provider, one.run.model)
    told = words.joined((one.run.operation, asked, account, words.moment(one.start_ns)))
    indented(to, told, "dim", 3)
    if links:
        address(to, links.trace(one.run.trace_id))


def _times(to: Console, found: PairComparison) -> None:
    rows = [(state, *pair) for state, pair in found.by_time.items() if any(pair)]
    rows.sort(key=lambda row: -abs(row[2] - row[1]))
    longest = max((max(a_ns, b_ns) for _, a_ns, b_ns in rows), default=1)
    bar = max(8, min(30, (to.width - 52) // 2))
    head = f"{'time':<15} {'A':>8} {'':{bar}} {'B':>8} {'':{bar}} {'B - A':>9}"
    write(to, Text(head, "dim"))
    for state, a_ns, b_ns in rows:
        line = Text(f"{state:<15} ")
        for span_ns, colour in ((a_ns, "cyan"), (b_ns, "magenta")):
            line.append(f"{words.duration(span_ns) if span_ns else '-':>8} ")
            line.append(f"{_bar(span_ns, longest, bar):{bar}} ", colour)
        difference_ns = b_ns - a_ns
        line.append(f"{words.signed(difference_ns):>9}", _style(difference_ns, longest))
        write(to, line)
    total_a, total_b = (words.duration(one.total_ns) for one in (found.a, found.b))
    difference = words.signed(found.difference_ns)
    total = f"{'together':<15} {total_a:>8} {'':{bar}} {total_b:>8} {'':{bar}} {difference:>9}"
    write(to, Text(total, "bold"))


def _bar(span_ns: int, longest: int, width: int) -> str:
    return "█" * max(1, span_ns * width // max(1, longest)) if span_ns else ""


def _style(difference_ns: int, longest: int) -> str:
    if abs(difference_ns) * 20 < longest:
        return "dim"
    return "red" if difference_ns > 0 else "green"


def divergence_words(found: Divergence) -> str:
    """What is different there, in words."""
    if found.kind == STRUCTURE:
        return f"A has it {found.a}, B {found.b}" if _both(found) else _one_sided(found)
    what = "ended" if found.kind == OUTCOME else "took"
    return f"A {what} {found.a}, B {found.b}"


def _both(found: Divergence) -> bool:
    return "not there" not in (found.a, found.b)


def _one_sided(found: Divergence) -> str:
    only, count = ("A", found.a) if found.b == "not there" else ("B", found.b)
    return f"only {only} has it" + ("" if count == "once" else f", {count}")


def _first(to: Console, found: Divergence) -> None:
    moments = ((letter, at) for letter, at in (("A", found.at_a_ns), ("B", found.at_b_ns)))
    where = ", ".join(
        f"{letter} at {words.duration(at)}" for letter, at in moments if at is not None
    )
    say(to, f"◆ first divergence ({found.kind}): {where}", "bold")
    indented(to, found.path, "", 2)
    indented(to, divergence_words(found), "", 2)


def _paths(to: Console, rows: Sequence[PathRow]) -> None:
    telling = [row for row in rows if abs(row.difference_ns) >= _TELLING_NS]
    write(to, Text(f"{'B - A':>9} {'A':>8} {'B':>8} {'spans':>8}  path", "dim"))
    longest = max((max(row.a_ns, row.b_ns) for row in rows), default=1)
    for row in telling[:MOST_PATHS]:
        above, _, name = row.path.rpartition(BETWEEN)
        line = Text(f"{words.signed(row.difference_ns):>9}", _style(row.difference_ns, longest))
        line.append(f" {_took(row.a_ns, row.n_a):>8} {_took(row.b_ns, row.n_b):>8} ", "")
        line.append(f"{_counts(row):>8}  ", "dim")
        left = cell_len(line.plain)
        first, *more = wrapped(name, to.width - left)
        write(to, line.append(first, "bold"))
        for text in more:
            write(to, Text(" " * left + text, "bold"))
        if above:
            indented(to, f"in {above}", "dim", left)
    rest = len(rows) - min(len(telling), MOST_PATHS)
    if rest:
        left_ns = sum(row.difference_ns for row in rows if row not in telling[:MOST_PATHS])
        line = f"{words.signed(left_ns):>9}  in {rest} other paths; --json and --html have them"
        write(to, Text(line, "dim"))


def _took(span_ns: int, count: int) -> str:
    return words.duration(span_ns) if count else "-"


def _counts(row: PathRow) -> str:
    return f"{row.n_a}" if row.n_a == row.n_b else f"{row.n_a} → {row.n_b}"


def _attributes(to: Console, found: PairComparison) -> None:
    write(to, Text("attributes that differ", "dim"))
    told = [each for each in found.attributes if each.path is None]
    others = [each for each in found.attributes if each.path is not None]
    shown = [*told, *others][: max(MOST_ATTRIBUTES, len(told))]
    for each in shown:
        name = (each.path or "").rpartition(BETWEEN)[2]
        where = f" ({name})" if name else ""
        indented(to, f"{each.name}{where}: {value(each.a)} → {value(each.b)}", "", 2, 6)
    if len(found.attributes) > len(shown):
        indented(to, f"and {len(found.attributes) - len(shown)} more of single spans", "dim", 2)


def value(text: str | None, most: int = _LONGEST_VALUE) -> str:
    """A value in few characters: hashes by their first digits."""
    if text is None:
        return "not there"
    if _HASH.fullmatch(text):
        return text[:12]
    return text if len(text) <= most else f"{text[:most]} ({len(text)} long)"
