"""The first place in time where two runs differ: in structure, outcome, or by more than noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gentrace.analysis.story import Step, Story
from gentrace.analysis.tree import SQL, library_of
from gentrace.core import names
from gentrace.core.spans import Span, plain

STRUCTURE, OUTCOME, TIME = "structure", "outcome", "time"
# What is no difference: less than all three of these
_NOISE_NS, _NOISE_OF_PATH, _NOISE_OF_RUN = 20_000_000, 0.1, 0.01
_RESULTS = (
    names.ERROR_CODE, names.ERROR_TYPE, names.DEDUP_RESULT, names.CACHE_RESULT,
    names.ENQUEUE_OUTCOME, names.JOB_OUTCOME, names.JOB_STATUS, names.JOB_REASON,
    names.CREDITS_SUFFICIENT, names.PROVIDER_STATUS, names.STATUS, names.OUTCOME,
    "http.response.status_code", "http.status_code",
)  # fmt: skip
_OVER = "end"


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two runs part.

    Attributes:
        kind: ``structure``, ``outcome`` or ``time``.
        at_a_ns: since A's start; None where A has nothing there.
        a: what A did there, in words; ``b`` likewise.
        span_a: the id of A's span there; empty where there is none.
    """

    kind: str
    path: str
    at_a_ns: int | None
    at_b_ns: int | None
    a: str
    b: str
    span_a: str = ""
    span_b: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    since_ns: int
    rank: int
    divergence: Divergence


def first_divergence(a: Story, b: Story, by_states: bool) -> Divergence | None:
    """The earliest; of several at one moment the plainest: structure before outcome before time.

    Statements of SQL count by their time alone: how many there are differs without meaning.

    Args:
        by_states: one side has no spans: only the times can differ, and the end.
    """
    found = [*_in_time(a, b, by_states), *_at_the_end(a, b)]
    if not by_states:
        found += _in_spans(a, b)
    first = min(found, key=lambda each: (each.since_ns, each.rank), default=None)
    return None if first is None else first.divergence


def noise_ns(a_ns: int, b_ns: int, longest_ns: int) -> int:
    """Up to which difference two times are the same."""
    of_path, of_run = max(a_ns, b_ns) * _NOISE_OF_PATH, longest_ns * _NOISE_OF_RUN
    return max(_NOISE_NS, round(of_path), round(of_run))


@dataclass(slots=True)
class _Spent:
    """What the run waited for one span, or in one gap."""

    start_ns: int
    took_ns: int
    span_id: str


def _in_time(a: Story, b: Story, by_states: bool) -> Iterator[_Candidate]:
    longest_ns = max(a.total_ns, b.total_ns)
    here_a, here_b = (_spent(one.by_state() if by_states else one.steps, one) for one in (a, b))
    many = _counts(a) if by_states else _counts(a, b)
    for path in dict.fromkeys((*here_a, *here_b)):
        told = _at_path(here_a.get(path, []), here_b.get(path, []), longest_ns, path in many)
        if told is None:
            continue
        one, other, over = told
        a_ns, b_ns = (sum(each.took_ns for each in side) for side in (one, other))
        at_a, at_b = (side[0].start_ns if side else None for side in (one, other))
        yield _Candidate(
            _earlier(at_a, at_b) + min(a_ns, b_ns), 2,
            Divergence(
                TIME, path, at_a, at_b, _took(one, over), _took(other, over),
                one[0].span_id if one else "", other[0].span_id if other else "",
            ),
        )  # fmt: skip


def _at_path(
    one: list[_Spent], other: list[_Spent], longest_ns: int, structure: bool
) -> tuple[list[_Spent], list[_Spent], bool] | None:
    """The first two that took differently long; else, where their sums differ, what one has more.

    Args:
        structure: how often there is a span on the path differs, which is told as such.
    """
    for first, second in zip(one, other, strict=False):
        a_ns, b_ns = first.took_ns, second.took_ns
        if abs(a_ns - b_ns) > noise_ns(a_ns, b_ns, longest_ns):
            return [first], [second], False
    a_ns, b_ns = (sum(each.took_ns for each in side) for side in (one, other))
    if structure or abs(a_ns - b_ns) <= noise_ns(a_ns, b_ns, longest_ns):
        return None
    both = min(len(one), len(other))
    more = len(one) != len(other)
    return (one[both:], other[both:], True) if more else (one, other, True)


def _counts(*sides: Story) -> set[str]:
    """Paths on which the runs have different numbers of spans, but for statements of SQL."""
    if len(sides) < 2:
        return set()
    a, b = (one.occurrences() for one in sides)
    return {
        path
        for path in {*a, *b}
        if len(a.get(path, ())) != len(b.get(path, ()))
        and library_of((a.get(path) or b[path])[0]) != SQL
    }


def _spent(steps: Sequence[Step], one: Story) -> Mapping[str, list[_Spent]]:
    """By path, what each of its spans and gaps took, by first moment."""
    found: dict[str, list[_Spent]] = {}
    known: dict[str, _Spent] = {}
    for step in steps:
        span_id = step.span.span_id if step.span is not None else ""
        if span_id in known:
            known[span_id].took_ns += step.took_ns
            continue
        each = _Spent(step.start_ns - one.start_ns, step.took_ns, span_id)
        found.setdefault(step.path, []).append(each)
        if span_id:
            known[span_id] = each
    return found


def _in_spans(a: Story, b: Story) -> Iterator[_Candidate]:
    spans_a, spans_b = a.occurrences(), b.occurrences()
    for path in dict.fromkeys((*spans_a, *spans_b)):
        here_a, here_b = spans_a.get(path, []), spans_b.get(path, [])
        if library_of((here_a or here_b)[0]) == SQL:
            continue
        if len(here_a) != len(here_b):
            yield _structure(a, b, path, here_a, here_b)
        for one, other in zip(here_a, here_b, strict=False):
            if (told := _result(one)) != (against := _result(other)):
                at_a, at_b = one.last_ns - a.start_ns, other.last_ns - b.start_ns
                yield _Candidate(
                    min(at_a, at_b), 1,
                    Divergence(OUTCOME, path, at_a, at_b, told, against, one.span_id,
                               other.span_id),
                )  # fmt: skip
                break


def _structure(
    a: Story, b: Story, path: str, here_a: Sequence[Span], here_b: Sequence[Span]
) -> _Candidate:
    both = min(len(here_a), len(here_b))
    extra_a, extra_b = here_a[both:], here_b[both:]
    at_a = extra_a[0].start_ns - a.start_ns if extra_a else None
    at_b = extra_b[0].start_ns - b.start_ns if extra_b else None
    return _Candidate(
        _earlier(at_a, at_b), 0,
        Divergence(
            STRUCTURE, path, at_a, at_b, _times(len(here_a)), _times(len(here_b)),
            extra_a[0].span_id if extra_a else "", extra_b[0].span_id if extra_b else "",
        ),
    )  # fmt: skip


def _at_the_end(a: Story, b: Story) -> Iterator[_Candidate]:
    told, against = (one.run.outcome or "unfinished" for one in (a, b))
    if told != against:
        yield _Candidate(
            min(a.total_ns, b.total_ns), 1,
            Divergence(OUTCOME, _OVER, a.total_ns, b.total_ns, told, against),
        )  # fmt: skip


def _result(span: Span) -> str:
    """What came of it, in words."""
    found = [plain(span.attributes[name]) for name in _RESULTS if name in span.attributes]
    state = "open" if span.open else "failed" if span.failed else "ok"
    return " ".join(dict.fromkeys([state, *found]))


def _earlier(at_a: int | None, at_b: int | None) -> int:
    return min(at for at in (at_a, at_b) if at is not None)


def _took(spent: Sequence[_Spent], over: bool) -> str:
    """How long, and over how many spans where they count together."""
    if not spent:
        return "no time"
    told = f"{sum(each.took_ns for each in spent) / 1e9:.3f} s"
    return f"{told} over {len(spent)} spans" if over and len(spent) > 1 else told


def _times(count: int) -> str:
    return f"{count} times" if count > 1 else "once" if count else "not there"
