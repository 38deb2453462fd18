"""The waterfall of ``show``: the span tree, each line with its place on one time axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gentrace.analysis.tree import HTTP, SQL, Node, build, library_of
from gentrace.core import names
from gentrace.core.spans import Span, plain
from gentrace.report import summary, words
from gentrace.report.terminal import wrapped, write

_COLOURS = ("cyan", "blue", "magenta", "green")
_ALL_FRAMES = 50
_LEAST_GUIDES = 12  # cells; where a tree is deeper than half the line, its depth stands as a number


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one trace: its time axis (Unix ns) and the widths, in cells."""

    start_ns: int
    total_ns: int
    bar: int
    service: int
    width: int
    prefix: str
    colours: Mapping[str, str]

    @property
    def left(self) -> int:
        """Cells before the tree: start, took, bar, service and the spaces between."""
        return 7 + 1 + 7 + 1 + self.bar + 1 + self.service + 1

    def axis(self, start_ns: int, end_ns: int, sign: str) -> str:
        """The stretch on the axis, at least one cell long."""
        total = max(1, self.total_ns)
        first = max(0, min(self.bar - 1, (start_ns - self.start_ns) * self.bar // total))
        last = max(first + 1, -(-(end_ns - self.start_ns) * self.bar // total))
        return (" " * first + sign * (last - first))[: self.bar].ljust(self.bar)

    def offset(self, at_ns: int) -> str:
        """Time since the trace began."""
        return words.duration(max(0, at_ns - self.start_ns))


def print_waterfall(to: Console, spans: Sequence[Span], *, everything: bool = False) -> None:
    """Print a trace.

    Args:
        everything: unfold SQL and HTTP calls; print every attribute and stack frame.
    """
    layout = _layout(to, spans)
    head = f"{'start':>7} {'took':>7} {'':{layout.bar}} {'in':{layout.service}} span"
    write(to, Text(head, "dim"))
    most = max(_LEAST_GUIDES, (layout.width - layout.left) // 2)
    waiting = [(root, "", "", 0) for root in reversed(build(spans, fold=not everything))]
    while waiting:
        node, branch, below, depth = waiting.pop()
        told = f"{depth}… " if len(branch) > most else ""
        _node(to, layout, node, told + branch[-most:], below[-most:], everything)
        below = below[-most:]
        for number, child in enumerate(reversed(node.children)):
            arms = ("├ ", "│ ") if number else ("└ ", "  ")
            waiting.append((child, below + arms[0], below + arms[1], depth + 1))


def _layout(to: Console, spans: Sequence[Span]) -> Layout:
    services = sorted({span.service for span in spans})
    prefix = services[0].rpartition("-")[0] + "-" if services else ""
    if prefix == "-" or not all(service.startswith(prefix) for service in services):
        prefix = ""
    start_ns = min((span.start_ns for span in spans), default=0)
    return Layout(
        start_ns=start_ns,
        total_ns=max((span.last_ns for span in spans), default=0) - start_ns,
        bar=max(8, min(24, 8 + (to.width - 80) // 3)),
        service=max(2, min(10, max((len(s.removeprefix(prefix)) for s in services), default=0))),
        width=to.width,
        prefix=prefix,
        colours={s: _COLOURS[i % len(_COLOURS)] for i, s in enumerate(services)},
    )


def _node(
    to: Console, layout: Layout, node: Node, branch: str, below: str, everything: bool
) -> None:
    """Print a node.

    Args:
        branch: the guide before the node's own name.
        below: the guide before everything under it.
    """
    span = node.span
    stem = below + ("│ " if node.children else "  ")
    label = Text()
    if node.fold:
        name, what = summary.fold_words(node.fold)
        label.append(name, "dim")
        details = [what]
    else:
        name = f"✗ {span.name}" if span.failed else span.name
        label.append(name, "bold red" if span.failed else "bold")
        details = summary.words(span)
    if node.mark:
        details.append(f"({node.mark})")
    if node.fold and node.fold.library == SQL and not _fits(layout, branch, label, details[0]):
        details = []  # the number and the time say enough; --all has them one by one
    _row(to, layout, _left(layout, node), (branch, stem), label, ", ".join(details))
    for at_ns, text, style in _extra(node, everything):
        mark = Text(" " * layout.left)
        if at_ns:
            mark = Text(f"{layout.offset(at_ns):>7} {'':7} ", "dim")
            mark.append(layout.axis(at_ns, at_ns, "•"), "dim")
            mark.append(" " * (layout.left - cell_len(mark.plain)))
        _row(to, layout, mark, (stem, stem), Text(text, style), "")


def _fits(layout: Layout, branch: str, label: Text, details: str) -> bool:
    """Whether the details have room beside the name."""
    used = layout.left + cell_len(branch) + cell_len(label.plain) + 2
    return used + cell_len(details) <= layout.width


def _left(layout: Layout, node: Node) -> Text:
    span = node.span
    took = "open" if span.open else words.duration(node.end_ns - node.start_ns)
    service = span.service.removeprefix(layout.prefix)[: layout.service]
    colour = "red" if span.failed else layout.colours.get(span.service, "cyan")
    if span.name in names.OF_THE_RECORD:  # no process's own: whichever came has written it
        service = ""
    if span.name == names.RUN:
        colour = "red" if span.failed else "white"
    left = Text(f"{layout.offset(node.start_ns):>7} ", "dim")
    left.append(f"{took:>7} ", "dim" if node.fold else "")
    left.append(layout.axis(node.start_ns, node.end_ns, "░" if span.open else "█"), colour)
    left.append(f" {service:{layout.service}} ", "dim")
    return left


def _extra(node: Node, everything: bool) -> Iterator[tuple[int, str, str]]:
    """Further lines of a span: its error where it began, events, links, on demand everything.

    Yields:
        When (Unix ns, 0 for no moment), the text and its style.
    """
    span = node.span
    if node.fold:
        return
    passed_on = any(c.span.failed and c.span.kind != "CLIENT" for c in node.children)
    own = span.kind != "SERVER" and span.name != names.RUN  # these tell what is told elsewhere
    if span.failed and not passed_on and own:
        lines = summary.error_lines(span, frames=_ALL_FRAMES if everything else 1)
        # That an HTTP call failed its own words say, unless there was no answer at all.
        if library_of(span) != HTTP or lines[0] not in ("failed", *summary.codes(span)):
            for line in lines:
                yield 0, line, "red"
    for event in summary.events(span):
        yield event.at_ns, f"• {summary.event_words(event)}", ""
    for link in span.links:
        yield 0, f"{plain(link.attributes.get(names.LINK, 'link'))} → trace {link.trace_id}", "dim"
    if everything:
        for name, value in sorted(span.attributes.items()):
            if name != names.GENERATION_ID:
                yield 0, f"{name} = {plain(value)}", "dim"


def _row(
    to: Console, layout: Layout, left: Text, guides: tuple[str, str], label: Text, details: str
) -> None:
    """One entry; what does not fit beside the name goes below it, wrapped, never cut."""
    branch, stem = guides
    room = layout.width - layout.left
    style = label.spans[-1].style if label.spans else label.style
    pieces = wrapped(label.plain, room - cell_len(branch))
    first = Text.assemble(left, (branch, "dim"), (pieces[0], style))
    below = [(piece, style) for piece in pieces[1:]]
    if details:
        if not below and _fits(layout, branch, label, details):
            first.append("  ").append(details, "dim")
        else:
            below += [(piece, "dim") for piece in wrapped(details, room - cell_len(stem))]
    write(to, first)
    for piece, its_style in below:
        write(to, Text.assemble(" " * layout.left, (stem, "dim"), (piece, its_style)))
