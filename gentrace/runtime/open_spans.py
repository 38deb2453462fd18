"""Spans of ours that the exporter has not taken yet, so that they can be written if we die.

What hangs under a span may leave before it does: a child that is over, or another process's work
below a span that was handed on. Such a span is put into the run's record first, and taken out when
the exporter has it; who finds this process gone writes it in its place (store/dead.py).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import Span

from gentrace.core import names
from gentrace.core.run.events import OpenSpan
from gentrace.runtime import machine
from gentrace.runtime.context import Run

_MAX = 16_384
_KIND_NUMBER = {"INTERNAL": 0, "SERVER": 1, "CLIENT": 2, "PRODUCER": 3, "CONSUMER": 4}
_SAYS_WHAT = (
    names.JOB_TRY,
    names.MESSAGING_MESSAGE_ID,
    names.ACCOUNT_ID,
    names.PROVIDER,
    names.SUBMISSION_ID,
)


@dataclass(slots=True)
class _Open:
    span: Any
    run: Run
    noted: bool = False


class OpenSpans:
    """Keeps the spans from their start until they have left.

    Args:
        note: puts some into a run's record, and takes others out.
        instance: gives this process's id; ``service`` gives its service's name.
    """

    def __init__(
        self,
        note: Callable[[Run, tuple[OpenSpan, ...], tuple[str, ...]], None],
        instance: Callable[[], str],
        service: Callable[[], str] = lambda: "",
    ) -> None:
        self._note, self._instance, self._service = note, instance, service
        self._lock = threading.Lock()
        self._open: OrderedDict[int, _Open] = OrderedDict()

    def began(self, span: Span, run: Run | None) -> None:
        """A span of that run has started."""
        if run is None or not span.is_recording():
            return
        with self._lock:
            self._open.setdefault(span.get_span_context().span_id, _Open(span, run))
            while len(self._open) > _MAX:
                self._open.popitem(last=False)

    def changed(self, span: Span) -> None:
        """... and says more of itself, or has ended; it has not left yet."""
        with self._lock:
            known = self._open.get(span.get_span_context().span_id)
        if known is not None and known.noted:
            self._note(known.run, (self._packed(known.span),), ())

    def left(self, spans: Iterable[Any]) -> None:
        """Some spans have left this process, or are lost for good."""
        gone: dict[int, tuple[Run, list[str]]] = {}
        with self._lock:
            for span in spans:
                known = self._open.pop(span.context.span_id, None)
                if known is not None and known.noted:
                    _, ids = gone.setdefault(id(known.run), (known.run, []))
                    ids.append(f"{span.context.span_id:016x}")
        for run, ids in gone.values():
            self._note(run, (), tuple(ids))

    def note(self, span: Span) -> None:
        """Have it written for certain, whether or not a child of it leaves first."""
        with self._lock:
            known = self._open.get(span.get_span_context().span_id)
            found = [] if known is None else self._up_from(known)
        self._tell(found)

    def handed_on(self, span_ids: Iterable[int]) -> tuple[OpenSpan, ...]:
        """Other processes will put work under these: what of them has to be noted with that."""
        found: list[_Open] = []
        with self._lock:
            for span_id in span_ids:
                known = self._open.get(span_id)
                if known is not None:
                    found += self._up_from(known)
        return tuple(self._packed(each.span) for each in found)

    def leaving(self, spans: Iterable[Any]) -> bool:
        """Some spans are about to leave; whether a parent of theirs had to be noted first."""
        found: list[_Open] = []
        batch = list(spans)
        together = {span.context.span_id for span in batch}
        with self._lock:
            for span in batch:
                if span.parent is None or span.parent.span_id in together:
                    continue
                known = self._open.get(span.parent.span_id)
                if known is not None:
                    found += self._up_from(known)
        self._tell(found)
        return bool(found)

    def _up_from(self, known: _Open) -> list[_Open]:
        """It and the spans above it, as far as they are here and not noted; they are now."""
        found: list[_Open] = []
        at: _Open | None = known
        while at is not None and not at.noted:
            at.noted = True
            found.append(at)
            parent = at.span.parent
            at = self._open.get(parent.span_id) if parent is not None else None
        return found

    def _tell(self, found: Iterable[_Open]) -> None:
        of_run: dict[int, tuple[Run, list[OpenSpan]]] = {}
        for each in found:
            _, spans = of_run.setdefault(id(each.run), (each.run, []))
            spans.append(self._packed(each.span))
        for run, spans in of_run.values():
            self._note(run, tuple(spans), ())

    def _packed(self, span: Any) -> OpenSpan:
        attributes = dict(span.attributes or {})
        return OpenSpan(
            f"{span.get_span_context().span_id:016x}",
            span.name,
            "" if span.parent is None else f"{span.parent.span_id:016x}",
            span.start_time,
            _KIND_NUMBER.get(span.kind.name, 0),
            self._instance(),
            {name: attributes[name] for name in _SAYS_WHAT if name in attributes},
            span.end_time or 0,
            service=self._service(),
            host=machine.attributes(),
        )

    def forget(self) -> None:
        """In a forked child: what was open is the parent's."""
        self._lock = threading.Lock()
        self._open.clear()
