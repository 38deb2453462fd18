"""A trace as the tree one wants to read: orphans hung where they belong, SQL and HTTP folded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gentrace.analysis.pauses import pauses
from gentrace.analysis.unwritten import orphans, stand_ins
from gentrace.core.spans import Span

SQL, HTTP = "SQL", "HTTP"
OPEN, NO_PARENT = "open, not written yet", "parent not there"
_SYSTEM = ("db.system.name", "db.system")
_METHOD = ("http.request.method", "http.method")
_CODE = ("http.response.status_code", "http.status_code")
_OPERATION = ("db.operation.name", "db.operation")
_URL = ("url.full", "http.url")
_HOST = ("server.address", "net.peer.name", "http.host")


@dataclass(slots=True)
class Fold:
    """Calls of one library under one parent, told in one line.

    Attributes:
        busy_ns: the sum of their durations.
        what: which calls, the most frequent first: ``SELECT x3, UPDATE``.
    """

    library: str
    spans: Sequence[Span]
    busy_ns: int
    what: str


@dataclass(slots=True)
class Node:
    """A span with what hangs under it.

    Attributes:
        span: for a fold its first span; for a job not written yet one made up for it.
        mark: why it stands here although its parent is unknown, or that it is still open.
    """

    span: Span
    children: list[Node] = field(default_factory=list["Node"])
    mark: str = ""
    fold: Fold | None = None
    _end_ns: int = field(default=-1, init=False, repr=False, compare=False)

    @property
    def start_ns(self) -> int:
        """Where it starts, Unix ns."""
        return self.span.start_ns

    @property
    def end_ns(self) -> int:
        """Where it ends; of a fold, the end of the last call; of an open span, its children's."""
        if self._end_ns < 0:
            waiting, found = [self], list[Node]()
            while waiting:
                node = waiting.pop()
                found.append(node)
                waiting += [child for child in node._reaching if child._end_ns < 0]
            for node in reversed(found):  # children before their parents
                members = node.fold.spans if node.fold else (node.span,)
                ends = [span.last_ns for span in members]
                node._end_ns = max(0, *ends, *(child._end_ns for child in node._reaching))
        return self._end_ns

    @property
    def _reaching(self) -> list[Node]:
        """The children whose ends are its own, too."""
        return self.children if self.span.open and not self.fold else []

    def changed(self) -> None:
        """To be told where its children, or those of one below it, are others now."""
        self._end_ns = -1


def build(spans: Sequence[Span], *, fold: bool = True) -> list[Node]:
    """The roots of the tree, everything by start."""
    made = [*stand_ins(spans), *pauses(spans)]
    everything = sorted([*spans, *made], key=lambda span: span.start_ns) if made else spans
    children: dict[str, list[Span]] = defaultdict(list)
    marks: dict[str, str] = {span.span_id: OPEN for span in everything if span.open}
    lost = orphans(everything)
    known = {span.span_id for span in everything}
    roots = [s for s in everything if s.parent_id not in known and s.parent_id not in lost]
    for span in everything:
        children[span.parent_id].append(span)
    for group in lost.values():
        holder = children[roots[0].span_id] if roots else roots
        holder += group
        marks |= {span.span_id: NO_PARENT for span in group}
    reached: set[str] = set()
    nodes = [_node(root, children, marks, reached, fold) for root in roots]
    for span in everything:  # parents in a circle: no root leads there
        if span.span_id not in reached:
            marks.setdefault(span.span_id, NO_PARENT)
            nodes.append(_node(span, children, marks, reached, fold))
    return sorted(nodes, key=lambda node: node.start_ns)


def _node(
    span: Span,
    children: Mapping[str, list[Span]],
    marks: Mapping[str, str],
    reached: set[str],
    fold: bool,
) -> Node:
    """The span with everything below it, however deep."""
    reached.add(span.span_id)
    top = Node(span, mark=marks.get(span.span_id, ""))
    waiting = [top]
    while waiting:
        node = waiting.pop()
        folded: dict[str, list[Span]] = defaultdict(list)
        for child in children.get(node.span.span_id, ()):
            if child.span_id in reached:
                continue
            reached.add(child.span_id)
            library = library_of(child)
            if fold and library and _plain(child, children):
                folded[library].append(child)
                continue
            below = Node(child, mark=marks.get(child.span_id, ""))
            node.children.append(below)
            waiting.append(below)
        for library, calls in folded.items():
            busy_ns = sum(call.duration_ns for call in calls)
            node.children.append(Node(calls[0], fold=Fold(library, calls, busy_ns, _what(calls))))
        node.children.sort(key=lambda child: child.start_ns)
    return top


def library_of(span: Span) -> str:
    """SQL or HTTP for a client span of such a library, in old and new conventions; else empty."""
    if _first(span, _SYSTEM) is not None:
        return SQL
    return HTTP if span.kind == "CLIENT" and _first(span, _METHOD) is not None else ""


def http_call(span: Span) -> str:
    """An HTTP span in short: ``POST api.example.com/…/jobs 200``."""
    url = urlsplit(_first(span, _URL) or "")
    host = url.hostname or _first(span, _HOST) or ""
    path = (url.path or span.text("url.path") or span.text("http.target") or "").partition("?")[0]
    if path.count("/") > 1:
        path = "/…/" + path.rpartition("/")[2]
    words = (_first(span, _METHOD), host + path, _first(span, _CODE))
    return " ".join(word for word in words if word)


def _plain(span: Span, children: Mapping[str, list[Span]]) -> bool:
    """Nothing about the call is worth a line of its own."""
    code = _first(span, _CODE) or ""
    return not (span.failed or span.open or children.get(span.span_id) or code >= "400")


def _what(calls: Sequence[Span]) -> str:
    if library_of(calls[0]) == HTTP and len(calls) == 1:
        return http_call(calls[0])
    kinds = Counter(
        _first(call, (*_OPERATION, *_METHOD)) or call.name.partition(" ")[0] for call in calls
    )
    return ", ".join(f"{kind} x{n}" if n > 1 else kind for kind, n in kinds.most_common(4))


def _first(span: Span, spellings: Sequence[str]) -> str | None:
    return next((text for name in spellings if (text := span.text(name)) is not None), None)
