"""What a view leaves out of a tree: tries and attempts that went as an earlier one did, log events.

Each try stands beside the one before it, not under it: a requeued job hangs under the enqueue in
the try that put it back, and ten tries would be twenty levels deep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gentrace.analysis.critical import every
from gentrace.analysis.parts import OWN_ENQUEUE
from gentrace.analysis.tree import Node
from gentrace.analysis.tries import Attempt, Try
from gentrace.core import names
from gentrace.core.spans import Span

_FURTHEST = 200  # calls up from where a failure began: what is logged further up tells of others
_BETWEEN = names.OF_THE_RECORD | {names.STATUS_CHANGE, OWN_ENQUEUE}


@dataclass(frozen=True, slots=True)
class Repeats:
    """Tries, or attempts, that stand in one line: each went as an earlier one, which is shown.

    Attributes:
        end_ns: when the last of them ended, with what it called.
    """

    told: Sequence[Try | Attempt]
    end_ns: int

    @property
    def like(self) -> list[int]:
        """The numbers of the earlier ones."""
        return sorted({one.like for one in self.told})


def beside(roots: Sequence[Node]) -> list[Node]:
    """The roots with each try lifted to where the first one stands; the tree is changed."""
    top = Node(Span("", "", "", ""), [*roots])
    waiting = [top]
    while waiting:
        node = waiting.pop()
        node.changed()
        lifted = False
        for child in node.children:  # grows as it is gone through
            for enqueue in _requeues(node, child):
                node.children += enqueue.children
                enqueue.children = []
                lifted = True
        if lifted:
            node.children.sort(key=lambda child: child.start_ns)
        waiting += node.children
    return top.children


def _requeues(above: Node, node: Node) -> list[Node]:
    """The enqueues that put the run's own job back: in a try, or after it by somebody else."""
    if node.span.name == names.PROCESS_GENERATION:
        return [n for n in every(node.children) if n.span.name == OWN_ENQUEUE and n.children]
    again = node.span.name == above.span.name == OWN_ENQUEUE
    return [node] if again and node.children else []


def repeated(roots: Sequence[Node], tries: Sequence[Try]) -> dict[int, Repeats]:
    """Folds those that went as an earlier one into one line each; the tree is changed.

    The last try stays: what came after it, the run's end at the latest, hangs under it.

    Returns:
        By the id of its node what a folded line stands for.
    """
    like: dict[str, Try | Attempt] = {}
    for one in tries:
        every_one = (one, *one.attempts) if one is not tries[-1] else one.attempts[:-1]
        like |= {each.span.span_id: each for each in every_one if each.like}
    found: dict[int, Repeats] = {}
    if like:
        for node in every(roots):
            node.children = [*_folded(node.children, like, found)]
    return found


def _folded(
    children: Sequence[Node], like: Mapping[str, Try | Attempt], found: dict[int, Repeats]
) -> Iterator[Node]:
    run: list[Node] = []
    between: list[Node] = []
    for child in children:
        if child.span.span_id in like and not child.fold:
            run.append(child)
            between.clear()
        elif run and child.span.name in _BETWEEN and not (child.children or child.span.failed):
            between.append(child)  # what led from one to the next is folded with them
        else:
            yield from _line(run, like, found)
            yield from between
            run, between = [], []
            yield child
    yield from _line(run, like, found)
    yield from between


def _line(
    run: Sequence[Node], like: Mapping[str, Try | Attempt], found: dict[int, Repeats]
) -> Iterator[Node]:
    if run:
        line = Node(run[0].span, mark=run[0].mark)
        told = [like[node.span.span_id] for node in run]
        found[id(line)] = Repeats(told, max(node.end_ns for node in run))
        yield line


def logs_kept(spans: Sequence[Span]) -> set[tuple[str, int]]:
    """The host's last log event before each failure: the span's id, the event's place in it.

    Looked for on the span where the failure began, on those that it made fail, and on what called
    them in the same job or request.
    """
    if not any(is_log(event.name) for span in spans for event in span.events):
        return set()
    known = {span.span_id: span for span in spans}
    above = {span.parent_id for span in spans if _fails(span)}
    began = [span for span in spans if _fails(span) and span.span_id not in above]
    kept: set[tuple[str, int]] = set()
    for span in began:
        chain, seen = [span], {span.span_id}
        while (parent := known.get(chain[-1].parent_id)) and parent.span_id not in seen:
            if len(chain) == _FURTHEST:
                break
            if chain[-1].kind in ("CONSUMER", "SERVER"):
                break
            seen.add(parent.span_id)
            chain.append(parent)
        passed_on = [each for each in chain if each.failed and each.kind != "SERVER"]
        until_ns = max(each.last_ns for each in passed_on or [span])
        before = [
            (event.at_ns, each.span_id, place)
            for each in chain
            for place, event in enumerate(each.events)
            if event.at_ns <= until_ns and is_log(event.name)
        ]
        if before:
            kept.add(max(before)[1:])
    return kept


def _fails(span: Span) -> bool:
    """A failing span of ours, or the host's setting of that status."""
    if span.name == names.FINISH:
        return span.failed or span.text(names.OUTCOME) == names.FAILED
    return span.failed and span.kind not in ("CLIENT", "SERVER") and span.name != names.RUN


def is_log(event: str) -> bool:
    """Whether an event of that name comes from the host's log."""
    return event not in names.OWN_EVENTS
