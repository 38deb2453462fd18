"""How far a run got, as its spans alone tell of it; what came after its end does not count."""

from __future__ import annotations

from gentrace.analysis.parts import Parts
from gentrace.analysis.timeline import is_over
from gentrace.core import names
from gentrace.core.spans import Span

STAGES = ("created", "queued", "started", "account", "submitted", "provider", "finished")
_ACCOUNT = frozenset({names.ACCOUNT_SELECT})


def reached(parts: Parts) -> str:
    """The furthest of :data:`STAGES` but the last, which a run reaches by being completed."""
    end_ns = parts.final.at_ns if parts.final is not None else 0

    def inside(span: Span) -> bool:
        return not end_ns or span.start_ns <= end_ns

    jobs = [span for span in parts.jobs if inside(span)]
    executes = [span for span in parts.executes if inside(span)]
    waits = [span for span in parts.named(names.PROVIDER_WAIT) if inside(span)]
    of_jobs = [span for job in jobs for span in parts.below(job)]
    known = {
        "queued": any(s.text(names.ENQUEUE_OUTCOME) != "error" for s in parts.enqueues),
        "started": bool(jobs),
        # a creation asks for one, too, to see who could pay
        "account": any(s.name in _ACCOUNT and s.text(names.ACCOUNT_ID) for s in of_jobs),
        "submitted": bool(executes),
        "provider": any(s.text(names.PROVIDER_STATUS) for s in parts.polls if inside(s))
        or any(s.text(names.POLLS) not in (None, "0") for s in waits)
        or any(map(is_over, executes)),
    }
    return next((stage for stage in reversed(STAGES) if known.get(stage)), "created")
