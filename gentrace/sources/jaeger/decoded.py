"""The spans of an answer, as they were sent, and what Jaeger says of those that it did not give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gentrace.core import otlp
from gentrace.core.spans import Span
from gentrace.sources.jaeger import restored
from gentrace.sources.jaeger.bodies import as_object


class Decoded(list[Span]):
    """Spans; ``damaged`` more were there, ``cut`` is what Jaeger says of those it held back."""

    def __init__(self, spans: Iterable[Span] = (), damaged: int = 0, cut: str = "") -> None:
        super().__init__(spans)
        self.damaged, self.cut = damaged, cut

    def take(self, span: Span, warnings: Any = None) -> None:
        """Add one span as Jaeger gave it."""
        told = restored.warnings(span, warnings)
        self.cut = self.cut or restored.cut(told)
        self.append(restored.span(span, told))


def of_v3(objects: Iterable[Any]) -> Decoded:
    """The spans of an answer of API v3: one or several objects, each with its ``result``.

    Raises:
        ValueError: it holds something else.
    """
    found = Decoded()
    for value in objects:
        piece = as_object(value)
        result = piece.get("result", piece)
        if not isinstance(value, dict) or not isinstance(result, Mapping):
            raise ValueError("an object with spans was expected")
        if result and not result.keys() & {"resourceSpans", "resource_spans"}:
            raise ValueError("an object with spans was expected")
        spans, damaged = otlp.decode(result)
        found.damaged += damaged
        for span in spans:
            found.take(span)
    return found


def together(parts: Iterable[Decoded]) -> Decoded:
    """Several answers as one."""
    found = Decoded()
    for part in parts:
        found.extend(part)
        found.damaged += part.damaged
        found.cut = found.cut or part.cut
    return found
