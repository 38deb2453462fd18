"""The waterfall of ``show``: the span tree, each line with its place on one time axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gentrace.analysis import folding, gaps
from gentrace.analysis.critical import every
from gentrace.analysis.folding import Repeats, is_log
from gentrace.analysis.gaps import Gap
from gentrace.analysis.tree import HTTP, SQL, Node, build, library_of
from gentrace.analysis.tries import Try
from gentrace.core import names
from gentrace.core.spans import Span, plain
from gentrace.report import summary, words
from gentrace.report.terminal import say, wrapped, write
from gentrace.report.visible import visible

_COLOURS = ("cyan", "blue", "magenta", "green")
_ALL_FRAMES = 50
MOST_LINES = 2_000
"""Of spans and gaps, where not everything was asked for."""
_FAILED = "✗ "
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

    def name(self, span: Span) -> str:
        """The column of the span's service; the run and its waits are no process's own."""
        own = span.name in names.OF_THE_RECORD
        service = "" if own else span.service.removeprefix(self.prefix)
        return f" {service[: self.service]:{self.service}} "

    def offset(self, at_ns: int) -> str:
        """Time since the trace began."""
        return words.duration(max(0, at_ns - self.start_ns))


@dataclass(frozen=True, slots=True)
class View:
    """What of a trace is printed, and how.

    Attributes:
        everything: every attribute, log event and stack frame.
        logs: the log events that are printed where not all are.
        repeats: the lines that stand for several tries or attempts, by the id of their node.
        numbers: of each try, by its span's id, where there are several.
        gaps: by the id of the span that they lie in.
    """

    layout: Layout
    everything: bool
    logs: Set[tuple[str, int]]
    repeats: Mapping[int, Repeats]
    numbers: Mapping[str, int]
    gaps: Mapping[str, Sequence[Gap]]


def print_waterfall(
    to: Console, spans: Sequence[Span], tries: Sequence[Try] = (), *, everything: bool = False
) -> None:
    """Print a trace.

    Args:
        tries: of the run; those that went alike are folded.
        everything: fold nothing; print every attribute and stack frame.
    """
    layout = _layout(to, spans)
    roots = build(spans, fold=not everything)
    found = gaps.find(roots)
    roots = folding.beside(roots)
    view = View(
        layout,
        everything,
        set() if everything else folding.logs_kept(spans),
        {} if everything else folding.repeated(roots, tries),
        {one.span.span_id: one.number for one in tries} if len(tries) > 1 else {},
        found,
    )
    head = f"{'start':>7} {'took':>7} {'':{layout.bar}} {'in':{layout.service}} span"
    write(to, Text(head, "dim"))
    most = max(_LEAST_GUIDES, (layout.width - layout.left) // 2)
    waiting: list[tuple[Node | Gap, str, str, int]]
    waiting = [(root, "", "", 0) for root in reversed(roots)]
    printed = 0
    while waiting:
        if printed == MOST_LINES and not everything:
            _rest(to, [node for node, *_ in waiting if isinstance(node, Node)])
            break
        printed += 1
        node, branch, below, depth = waiting.pop()
        told = f"{depth}… " if len(branch) > most else ""
        branch, below = told + branch[-most:], below[-most:]
        if isinstance(node, Gap):
            _gap(to, layout, node, branch, below)
            continue
        children = _children(view, node)
        _node(to, view, node, branch, below + ("│ " if children else "  "))
        for number, child in enumerate(reversed(children)):
            arms = ("├ ", "│ ") if number else ("└ ", "  ")
            waiting.append((child, below + arms[0], below + arms[1], depth + 1))
    if not everything:
        logs = sum(is_log(event.name) for span in spans for event in span.events) - len(view.logs)
        if folded := summary.left_out(logs, view.repeats.values()):
            say(to, folded, "dim")


def _rest(to: Console, roots: Sequence[Node]) -> None:
    """Say how much of a tree is left out."""
    left = [
        span for node in every(roots) for span in (node.fold.spans if node.fold else [node.span])
    ]
    failed = sum(span.failed for span in left)
    which = f" ({failed:,} of them failed)" if failed else ""
    say(to, f"{len(left):,} spans more{which} are left out here; --all and --json have them", "dim")


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


def _children(view: View, node: Node) -> list[Node | Gap]:
    """What hangs under a node, by start, with the gaps between."""
    if node.fold or id(node) in view.repeats:
        return []
    found = [*node.children, *view.gaps.get(node.span.span_id, ())]
    return sorted(found, key=lambda each: each.start_ns)


def _gap(to: Console, layout: Layout, gap: Gap, branch: str, below: str) -> None:
    """Print time of which nothing is known, but for what stands around it."""
    left = _left(layout, gap.start_ns, words.duration(gap.took_ns))
    left.append(layout.axis(gap.start_ns, gap.end_ns, "·"), "yellow")
    left.append(layout.name(gap.span), "dim")
    label = Text("nothing seen", "yellow")
    _row(to, layout, left, (branch, below + "  "), label, summary.gap_words(gap))


def _node(to: Console, view: View, node: Node, branch: str, stem: str) -> None:
    """Print a node.

    Args:
        branch: the guide before the node's own name.
        stem: the guide before what else it says.
    """
    span, layout = node.span, view.layout
    label = Text()
    repeats = view.repeats.get(id(node))
    if node.fold:
        name, what = summary.fold_words(node.fold)
        label.append(name, "dim")
        details = [what]
    elif repeats:
        name, what = summary.repeats_words(repeats)
        label.append(name, "bold red" if span.failed else "bold")
        details = [what]
    else:
        name = visible(_FAILED + span.name if span.failed else span.name)
        label.append(name, "bold red" if span.failed else "bold")
        details = summary.words(span, view.numbers.get(span.span_id, 0))
    if node.mark:
        details.append(f"({node.mark})")
    if node.fold and node.fold.library == SQL and not _fits(layout, branch, label, details[0]):
        details = []  # the number and the time say enough; --all has them one by one
    told = visible(", ".join(details))
    _row(to, layout, _bar(view, node), (branch, stem), label, told)
    for at_ns, text, style in () if repeats else _extra(view, node):
        mark = Text(" " * layout.left)
        if at_ns:
            mark = Text(f"{layout.offset(at_ns):>7} {'':7} ", "dim")
            mark.append(layout.axis(at_ns, at_ns, "•"), "dim")
            mark.append(" " * (layout.left - cell_len(mark.plain)))
        guides = (stem + "• ", stem + "  ") if at_ns else (stem, stem)
        _row(to, layout, mark, guides, Text(text, style), "")


def _fits(layout: Layout, branch: str, label: Text, details: str) -> bool:
    """Whether the details have room beside the name."""
    used = layout.left + cell_len(branch) + cell_len(label.plain) + 2
    return used + cell_len(details) <= layout.width


def _bar(view: View, node: Node) -> Text:
    """The columns before the tree."""
    span, layout = node.span, view.layout
    repeats = view.repeats.get(id(node))
    end_ns = repeats.end_ns if repeats else node.end_ns
    took = "open" if span.open else words.duration(end_ns - node.start_ns)
    colour = "red" if span.failed else layout.colours.get(span.service, "cyan")
    if span.name == names.RUN and not span.failed:
        colour = "white"
    left = _left(layout, node.start_ns, took, "dim" if node.fold or repeats else "")
    sign = "░" if span.open or repeats else "█"
    left.append(layout.axis(node.start_ns, end_ns, sign), colour)
    return left.append(layout.name(span), "dim")


def _left(layout: Layout, start_ns: int, took: str, style: str = "") -> Text:
    left = Text(f"{layout.offset(start_ns):>7} ", "dim")
    return left.append(f"{took:>7} ", style)


def _extra(view: View, node: Node) -> Iterator[tuple[int, str, str]]:
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
        lines = summary.error_lines(span, frames=_ALL_FRAMES if view.everything else 1)
        # That an HTTP call failed its own words say, unless there was no answer at all.
        if library_of(span) != HTTP or lines[0] not in ("failed", *summary.codes(span)):
            for line in lines:
                yield 0, line, "red"
    for event in summary.events(span, None if view.everything else view.logs):
        yield event.at_ns, summary.event_words(event), ""
    for link in span.links:
        yield 0, f"{plain(link.attributes.get(names.LINK, 'link'))} → trace {link.trace_id}", "dim"
    if view.everything:
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
    mark = _FAILED if label.plain.startswith(_FAILED) else ""  # stays with the name's beginning
    first_room = room - cell_len(branch) - cell_len(mark)
    pieces = wrapped(label.plain.removeprefix(mark), first_room)
    pieces[0] = mark + pieces[0]
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
