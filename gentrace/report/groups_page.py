"""The page of a comparison of groups: where the time goes, how it is spread, what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gentrace.analysis.compare.model import Exemplar, Finding, Fingerprint, Group, GroupComparison
from gentrace.core.run.times import State
from gentrace.report import charts, groups, unanswered
from gentrace.report.links import Links
from gentrace.report.page import percent, render

WIDTH, LEFT, RIGHT, MIDDLE, HIGH = 640, 10, 630, 105, 80
INTERVAL = 190
MOST_AGES, MOST_EXEMPLARS, MOST_FINGERPRINTS = 120, 6, 200
_QUESTIONS = {
    "slow": "What the slow runs have in common",
    "failing": "What the failing runs have in common",
}


def page(found: GroupComparison, links: Links | None = None) -> str:
    """The page's HTML."""
    letters = list(zip(groups.LETTERS, found.groups.items(), strict=False))
    times = sorted(found.times.items(), key=lambda item: -abs(item[1].difference_s or 0.0))
    longest = max((sum(group.times.values()) for _, (_, group) in letters), default=0.0)
    states = [
        state.value
        for state in State
        if any(group.times.get(state.value) for _, (_, group) in letters)
    ]
    return render(
        "groups.html",
        {
            "title": _QUESTIONS.get(found.question, "Groups of runs compared"),
            "sides": [_side(letter, name, each, longest) for letter, (name, each) in letters],
            "states": states,
            "times": times,
            "spreads": [
                spread
                for pair in (letters[:2], letters[2:4])
                if (spread := _spread([(letter, each) for letter, (_, each) in pair]))
            ],
            "findings": _findings(found, found.findings, links),
            "symptoms": _findings(found, found.symptoms, links),
            "symptoms_are": groups.SYMPTOMS,
            "fingerprints": [
                _fingerprint(each, links) for each in found.fingerprints[:MOST_FINGERPRINTS]
            ],
            "fingerprints_left_out": max(0, len(found.fingerprints) - MOST_FINGERPRINTS),
            "failing": found.question == "failing",
            "tested": found.tested,
            "notes": [
                *(f"not enough data: {text}" for text in unanswered.short(found)),
                *found.notes,
            ],
            "nothing": unanswered.nothing(found),
            "seconds": groups.seconds,
            "spent": groups.spent,
            "counted": groups.counted,
            "signed_s": groups.signed,
            "share": groups.share,
            "width": WIDTH,
        },
    )


def _side(letter: str, name: str, group: Group, longest: float) -> dict[str, Any]:
    segments = [
        (state.value, percent(spent, longest), groups.seconds(spent))
        for state in State
        if (spent := group.times.get(state.value, 0.0))
    ]
    return {
        "letter": letter,
        "name": name,
        "group": group,
        "summary": groups.summary(group),
        "segments": segments,
        "total": groups.seconds(sum(group.times.values())) if group.times else "-",
        "words": f"{letter}: " + ", ".join(f"{state} {text}" for state, _, text in segments),
    }


def _spread(lettered: Sequence[tuple[str, Group]]) -> dict[str, Any] | None:
    """Two histograms on one axis, upwards and downwards, with medians and open ends."""
    sides = [group for _, group in lettered]
    durations = [value for group in sides for value in (*group.durations, *group.ages)]
    if len(sides) < 2 or not any(group.durations for group in sides):
        return None
    axis = charts.axis(durations, LEFT, RIGHT)
    edges = axis.edges(charts.BINS)
    shares = [charts.histogram(group.durations, edges) for group in sides]
    highest = max((share for each in shares for share in each), default=1.0) or 1.0
    return {
        "log": axis.log,
        "middle": MIDDLE,
        "high": HIGH,
        "ticks": axis.ticks(),
        "sides": [
            {
                "letter": letter,
                "colour": colour,
                "bars": _bars(axis, edges, share, highest, up=colour == "A"),
                "median": None if group.p50_s is None else axis.at(group.p50_s),
                "median_words": groups.seconds(group.p50_s),
                "ages": _ages(axis, group.ages),
                "unfinished": len(group.ages),
                "n": len(group.durations),
            }
            for colour, (letter, group), share in zip("AB", lettered, shares, strict=False)
        ],
    }


def _bars(
    axis: charts.Axis, edges: Sequence[float], shares: Sequence[float], highest: float, *, up: bool
) -> list[tuple[float, float, float, float]]:
    """x, y, width, height of each bin with anything in it."""
    found: list[tuple[float, float, float, float]] = []
    for low, high, share in zip(edges, edges[1:], shares, strict=False):
        if share:
            left, right = axis.at(low), axis.at(high)
            height = max(1.0, round(share / highest * HIGH, 1))
            top = MIDDLE - height if up else float(MIDDLE)
            found.append((left, top, max(1.0, round(right - left - 1, 1)), height))
    return found


def _ages(axis: charts.Axis, ages: Sequence[float]) -> list[int]:
    """Where unfinished runs stand, each place once."""
    return list(dict.fromkeys(round(axis.at(age)) for age in ages))[:MOST_AGES]


def _findings(
    answer: GroupComparison, found: Sequence[Finding], links: Links | None
) -> list[dict[str, Any]]:
    axes = {
        unit: charts.interval_axis(
            ((each.effect, *each.interval) for each in found if each.unit == unit), INTERVAL
        )
        for unit in {each.unit for each in found}
    }
    return [
        {
            "what": groups.what(each),
            "compared": groups.compared(answer, each),
            "meaning": groups.meaning(each),
            "size": groups.size(each),
            "probability": groups.probability(each.p_adjusted),
            "n": each.n,
            "also": each.also,
            "kind": each.kind,
            "zero": axes[each.unit].at(0.0),
            "at": axes[each.unit].at(each.effect),
            "low": axes[each.unit].at(each.interval[0]),
            "high": axes[each.unit].at(each.interval[1]),
            "more": each.effect > 0,
            "exemplars": exemplars(each.exemplars, links),
        }
        for each in found
    ]


def _fingerprint(found: Fingerprint, links: Links | None) -> dict[str, Any]:
    near = found.nearest_success
    return {
        "found": found,
        "share": percent(found.share, 1.0),
        "history": groups.history(found),
        "exemplars": exemplars(found.exemplars, links),
        "nearest": exemplars((Exemplar(near.id, near.trace_id),), links) if near else [],
        "apart": groups.apart(near) if near else "",
    }


def exemplars(found: Sequence[Exemplar], links: Links | None) -> list[dict[str, Any]]:
    """The runs to look at, with Jaeger's page of each where it is known."""
    return [
        {
            "id": each.id,
            "trace_id": each.trace_id,
            "link": links.trace(each.trace_id) if links else None,
        }
        for each in found[:MOST_EXEMPLARS]
    ]
