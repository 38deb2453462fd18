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


_Running = tuple[int, int, Node]  # the negative of its start and of its place, the node


class CriticalPath:
    """The critical path through some trees.

    Args:
        roots: as :func:`gentrace.analysis.tree.build` makes them.
    """

    def __init__(self, roots: Sequence[Node]) -> None:
        self._roots = roots
        self._reach: dict[int, tuple[int, int]] = {}
        # Of two that began together the later one in the tree: the same in every reading.
        self._place = {id(node): place for place, node in enumerate(every(roots))}
        for node in reversed(list(every(roots))):  # children before their parents
            below = [self._reach[id(child)] for child in node.children]
            start_ns = min([node.start_ns, *(start for start, _ in below)])
            end_ns = max([node.end_ns, *(end for _, end in below)])
            self._reach[id(node)] = (start_ns, end_ns)

    def between(self, start_ns: int, end_ns: int) -> list[Piece]:
        """Pieces in time order that cover that time exactly, each moment once."""
        found: list[Piece] = []
        for piece in self._filled(self._walk(None, self._roots, start_ns, end_ns)):
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
        running: list[_Running] = []
        cursor = end_ns
        while cursor > start_ns:
            while ended and self._reach[id(ended[-1])][1] >= cursor:
                child = ended.pop()
                heapq.heappush(running, self._running(child, self._reach[id(child)][0]))
            while running and -running[0][0] >= cursor:
                heapq.heappop(running)
            if running:
                child = heapq.heappop(running)[2]
            elif ended:
                child = ended.pop()
            else:
                break
            first_ns, last_ns = self._reach[id(child)]
            first_ns, last_ns = max(first_ns, start_ns), min(last_ns, cursor)
            yield from _own(node, last_ns, cursor)
            yield from self._walk(child, child.children, first_ns, last_ns)
            cursor = first_ns
        yield from _own(node, start_ns, cursor)

    def _filled(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The pieces, the last first, where a gap below one branch was another's work: that."""
        ended = sorted(every(self._roots), key=lambda node: node.end_ns)
        running: list[_Running] = []
        for piece in pieces:
            cursor = piece.end_ns
            if piece.node is not None:
                yield piece
                continue
            while cursor > piece.start_ns:
                while ended and ended[-1].end_ns >= cursor:
                    node = ended.pop()
                    heapq.heappush(running, self._running(node, node.start_ns))
                while running and -running[0][0] >= cursor:
                    heapq.heappop(running)
                if running:
                    first_ns, node = max(-running[0][0], piece.start_ns), running[0][2]
                else:
                    first_ns, node = max(ended[-1].end_ns if ended else 0, piece.start_ns), None
                yield Piece(first_ns, cursor, node)
                cursor = first_ns

    def _running(self, node: Node, start_ns: int) -> _Running:
        return -start_ns, -self._place[id(node)], node

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
