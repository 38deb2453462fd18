"""What a run waited for at each moment: its critical path, through the queue and the provider.

Spans overlap, and what a run's request started goes on long after the request. So the path is
walked backwards from the run's end, as one asks by hand: what ended last, what had to be over for
it to start, and so on. Each moment goes to one span, and where none was there to a gap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gentrace.analysis.tree import Node


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time, Unix ns, and the node it is put down to; None in a gap."""

    start_ns: int
    end_ns: int
    node: Node | None


class CriticalPath:
    """The critical path through some trees.

    Args:
        roots: as :func:`gentrace.analysis.tree.build` makes them.
    """

    def __init__(self, roots: Sequence[Node]) -> None:
        self._roots = roots
        self._reach: dict[int, tuple[int, int]] = {}
        for node in reversed(list(every(roots))):  # children before their parents
            below = [self._reach[id(child)] for child in node.children]
            start_ns = min([node.start_ns, *(start for start, _ in below)])
            end_ns = max([node.end_ns, *(end for _, end in below)])
            self._reach[id(node)] = (start_ns, end_ns)

    def between(self, start_ns: int, end_ns: int) -> list[Piece]:
        """Pieces in time order that cover that time exactly, each moment once."""
        found: list[Piece] = []
        for piece in self._walk(None, self._roots, start_ns, end_ns):
            last = found[-1] if found else None
            if last is not None and last.node is piece.node:
                found[-1] = Piece(piece.start_ns, last.end_ns, piece.node)
            else:
                found.append(piece)
        return found[::-1]

    def _walk(
        self, node: Node | None, children: Sequence[Node], start_ns: int, end_ns: int
    ) -> Iterator[Piece]:
        """What that time below a node went to, the last piece first."""
        ended = sorted(
            (child for child in children if self._meets(child, start_ns, end_ns)),
            key=lambda child: self._reach[id(child)][1],
        )
        running: list[tuple[int, int, Node]] = []
        cursor = end_ns
        while cursor > start_ns:
            while ended and self._reach[id(ended[-1])][1] >= cursor:
                child = ended.pop()
                heapq.heappush(running, (-self._reach[id(child)][0], id(child), child))
            while running and -running[0][0] >= cursor:
                heapq.heappop(running)
            if running:
                _, _, child = heapq.heappop(running)
            elif ended:
                child = ended.pop()
            else:
                break
            first_ns, last_ns = self._reach[id(child)]
            first_ns, last_ns = max(first_ns, start_ns), min(last_ns, cursor)
            yield from _own(node, last_ns, cursor)
            for piece in self._walk(child, child.children, first_ns, last_ns):
                if piece.node is not None:
                    yield piece
                else:  # nothing below that child: another may have been at work
                    gap = piece.start_ns, piece.end_ns
                    others = [o for o in children if o is not child and self._meets(o, *gap)]
                    yield from self._walk(node, others, *gap)
            cursor = first_ns
        yield from _own(node, start_ns, cursor)

    def _meets(self, node: Node, start_ns: int, end_ns: int) -> bool:
        first_ns, last_ns = self._reach[id(node)]
        return first_ns < end_ns and last_ns > start_ns and first_ns < last_ns


def every(roots: Sequence[Node]) -> Iterator[Node]:
    """All nodes, parents before their children."""
    waiting = [*reversed(roots)]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def _own(node: Node | None, start_ns: int, end_ns: int) -> Iterator[Piece]:
    """That time with nothing below at work: the node's own, and a gap where it had ended."""
    if start_ns >= end_ns:
        return
    if node is None:
        yield Piece(start_ns, end_ns, None)
        return
    first_ns = min(max(node.start_ns, start_ns), end_ns)
    last_ns = max(min(node.end_ns, end_ns), first_ns)
    for since_ns, until_ns, whose in (
        (last_ns, end_ns, None),
        (first_ns, last_ns, node),
        (start_ns, first_ns, None),
    ):
        if since_ns < until_ns:
            yield Piece(since_ns, until_ns, whose)
