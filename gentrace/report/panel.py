"""One run as rows of a page's waterfall: which bars where on an axis that two runs share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from gentrace.analysis.critical import every
from gentrace.analysis.story import GAP, Step, Story
from gentrace.analysis.tree import Node
from gentrace.core.run.times import State
from gentrace.report import words
from gentrace.report.page import percent
from gentrace.report.rows import Bar, Row, cut, details, more

FOLDED = 3  # so many siblings of one name stand each for itself
MOST_CHILDREN = 250  # of one span, after folding; the shortest are left out
_MOST_PIECES = 40
_MOST_TEXT, _MARKUP = 1_900_000, 280  # characters of one panel; of them, those of a row's tags

_STATES = frozenset(state.value for state in State)

Token = tuple[str, Row | None]


class Panel:
    """The waterfall of one run.

    Args:
        one: the run.
        axis_ns: how long the axis is; it begins with the run.
        marked: the id of the span where the two runs part.
    """

    def __init__(self, one: Story, axis_ns: int, letter: str, marked: str = "") -> None:
        self.one, self.axis_ns, self.letter, self.marked = one, axis_ns, letter, marked
        self._waited: dict[str, list[Step]] = defaultdict(list)
        for step in one.steps:
            if step.span is not None:
                self._waited[step.span.span_id].append(step)
        self._on: set[int] = set()
        self._holds_mark: set[int] = set()

    def strip(self) -> list[tuple[str, Bar, str]]:
        """The run's states on the axis: state, place and words; told ones in a run's own order."""
        parts = [(s.state.value, s.start_ns, s.end_ns) for s in self.one.stretches]
        if not parts:
            parts = [(step.path, step.start_ns, step.end_ns) for step in self.one.by_state()]
        return [
            (state, bar, f"{state} {words.duration(end_ns - start_ns)}")
            for state, start_ns, end_ns in parts
            if (bar := self._bar(start_ns, end_ns)) is not None
        ]

    def tokens(self) -> Iterator[Token]:
        """``open`` a row that holds others, ``row`` without, ``close``; gaps come last."""
        self._look(self.one.roots)
        gaps = [("row", self._gap(step), 0) for step in self.one.steps if step.span is None]
        waiting = [*reversed([*self._below(self.one.roots, 0), *gaps])]
        room, left_out = _MOST_TEXT, 0
        while waiting:
            kind, item, depth = waiting.pop()
            if isinstance(item, Node):
                if room < 0:
                    left_out += sum(1 for _ in every([item]))
                    continue
                row = self._row(item, depth)
                room -= 2 * (len(row.name) + len(row.details)) + _MARKUP
                row.parent = bool(item.children)
                if not item.children:
                    yield "row", row
                    continue
                yield "open", row
                waiting.append(("close", None, depth))
                waiting += reversed([*self._below(item.children, depth + 1)])
            else:
                yield kind, item
        if left_out:
            yield "row", more(left_out, 0, "that this page has no room for")

    def _look(self, roots: Sequence[Node]) -> None:
        """Which nodes were waited for, themselves or below, and which hold the marked span."""
        for node in reversed(list(every(roots))):
            if node.span.span_id in self._waited or any(id(c) in self._on for c in node.children):
                self._on.add(id(node))
            below = any(id(c) in self._holds_mark for c in node.children)
            if below or (self.marked and node.span.span_id == self.marked):
                self._holds_mark.add(id(node))

    def _below(
        self, children: Sequence[Node], depth: int
    ) -> Iterator[tuple[str, Node | Row | None, int]]:
        """The children by start; those of one name folded, the shortest of very many left out."""
        named: dict[str, list[Node]] = defaultdict(list)
        for child in children:
            named[child.span.name].append(child)
        folds = {name: found for name, found in named.items() if len(found) > FOLDED}
        kept = [found[0] for found in named.values() if len(found) > FOLDED]
        kept += [c for found in named.values() if len(found) <= FOLDED for c in found]
        left_out = 0
        if len(kept) > MOST_CHILDREN:
            left_out = len(kept) - MOST_CHILDREN
            kept = sorted(kept, key=self._weight, reverse=True)[:MOST_CHILDREN]
        for child in sorted(kept, key=lambda each: each.start_ns):
            fold = folds.get(child.span.name)
            if fold is None:
                yield "node", child, depth
                continue
            shown = sorted(fold, key=self._weight, reverse=True)[:MOST_CHILDREN]
            yield "open", self._fold(fold, depth), depth
            for each in sorted(shown, key=lambda each: each.start_ns):
                yield "node", each, depth + 1
            if len(fold) > len(shown):
                yield "row", more(len(fold) - len(shown), depth + 1), depth
            yield "close", None, depth
        if left_out:
            yield "row", more(left_out, depth), depth

    def _weight(self, node: Node) -> tuple[bool, bool, int]:
        return id(node) in self._holds_mark, id(node) in self._on, node.end_ns - node.start_ns

    def _fold(self, nodes: Sequence[Node], depth: int) -> Row:
        start_ns = min(node.start_ns for node in nodes)
        end_ns = max(node.end_ns for node in nodes)
        failed = sum(node.span.failed for node in nodes)
        return Row(
            name=f"{len(nodes)} × {cut(nodes[0].span.name)}",
            depth=depth,
            took=words.duration(sum(node.end_ns - node.start_ns for node in nodes)),
            start=words.duration(max(0, start_ns - self.one.start_ns)),
            details=f"{failed} failed" if failed else "",
            state=self._state(start_ns, end_ns),
            bar=self._bar(start_ns, end_ns),
            waited=self._pieces([s for n in nodes for s in self._waited.get(n.span.span_id, ())]),
            on=any(id(node) in self._on for node in nodes),
            failed=bool(failed),
            parent=True,
            opened=any(id(node) in self._holds_mark for node in nodes),
        )

    def _row(self, node: Node, depth: int) -> Row:
        span = node.span
        return Row(
            name=cut(span.name),
            depth=depth,
            took="open" if span.open else words.duration(node.end_ns - node.start_ns),
            start=words.duration(max(0, node.start_ns - self.one.start_ns)),
            details=details(node),
            state=self._state(node.start_ns, node.end_ns),
            bar=self._bar(node.start_ns, node.end_ns),
            waited=self._pieces(self._waited.get(span.span_id, ())),
            on=id(node) in self._on,
            failed=span.failed,
            marked=bool(self.marked) and span.span_id == self.marked,
            anchor=f"{self.letter}-{span.span_id}" if span.span_id == self.marked else "",
        )

    def _gap(self, step: Step) -> Row:
        state = step.path.removeprefix(GAP)
        return Row(
            name=step.path,
            depth=0,
            took=words.duration(step.took_ns),
            start=words.duration(max(0, step.start_ns - self.one.start_ns)),
            details="no span tells of this time",
            state=state if state in _STATES else None,
            waited=self._pieces([step]),
            bar=self._bar(step.start_ns, step.end_ns),
            on=True,
            gap=True,
        )

    def _bar(self, start_ns: int, end_ns: int) -> Bar | None:
        left = percent(start_ns - self.one.start_ns, self.axis_ns)
        right = percent(end_ns - self.one.start_ns, self.axis_ns)
        return None if left >= 100 and start_ns > self.one.start_ns else (left, right - left)

    def _pieces(self, steps: Sequence[Step]) -> list[Bar]:
        """Where the bar is solid; what no eye could tell apart is one piece."""
        pieces: list[Bar] = []
        for step in sorted(steps, key=lambda each: each.start_ns):
            bar = self._bar(step.start_ns, step.end_ns)
            if bar is None:
                continue
            if pieces and (bar[0] - sum(pieces[-1]) < 0.2 or len(pieces) == _MOST_PIECES):
                left = pieces[-1][0]
                pieces[-1] = (left, round(sum(bar) - left, 3))
            else:
                pieces.append(bar)
        return pieces

    def _state(self, start_ns: int, end_ns: int) -> str | None:
        """The state that most of that time was spent in."""
        most, found = -1, None
        for stretch in self.one.stretches:
            shared = min(end_ns, stretch.end_ns) - max(start_ns, stretch.start_ns)
            if shared > most and shared >= 0:
                most, found = shared, stretch.state.value
        return found


def legend(stories: Sequence[Story]) -> list[str]:
    """The states that any of the runs was in, in the order of a run."""
    spent: Mapping[State, int] = {
        state: sum(one.run.times.spent_ns.get(state, 0) for one in stories) for state in State
    }
    return [state.value for state, span_ns in spent.items() if span_ns]
