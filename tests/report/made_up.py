"""Comparisons of groups as the analysis gives them, made up for the views."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from gentrace.analysis.compare import summary
from gentrace.analysis.compare.model import (
    Exemplar,
    Finding,
    Fingerprint,
    Group,
    GroupComparison,
    NearestSuccess,
)
from tests.core.traces import MINUTE_NS, START, trace_id

STATES = ("api", "queue", "worker", "provider_submit", "provider_run", "finish")


def exemplar(id_: str) -> Exemplar:
    """A run of that id."""
    return Exemplar(id_, trace_id(id_))


def group(label: str, n: int, median_s: float, seed: int, unfinished: int = 0) -> Group:
    """A group with heavy tails around a median, and the times of its mean."""
    drawn = random.Random(seed)
    durations = sorted(median_s * math.exp(drawn.gauss(0, 0.6)) for _ in range(n - unfinished))
    mean = sum(durations) / len(durations)
    shares = (0.01, 0.25 if median_s > 10 else 0.05, 0.05, 0.04)
    times: dict[str, float] = dict(zip(STATES, (mean * each for each in shares), strict=False))
    times["provider_run"] = mean - sum(times.values())
    return Group(
        label, n, n - unfinished, unfinished,
        p50_s=durations[len(durations) // 2], p90_s=durations[len(durations) * 9 // 10],
        durations=tuple(durations),
        ages=tuple(sorted(median_s * drawn.uniform(0.2, 3) for _ in range(unfinished))),
        times=times, medians={name: value * 0.9 for name, value in times.items()},
        outcomes={"completed": n - unfinished, "unfinished": unfinished},
    )  # fmt: skip


def slow() -> GroupComparison:
    """The answer of ``slow``: an account is slow to accept, the model mix changed."""
    a = group("slow for their kind (above its p90)", 41, 34.0, 1, unfinished=6)
    b = group("the rest", 362, 8.0, 2)
    newer = group("the newer half of the window", 202, 11.0, 5, unfinished=6)
    older = group("the older half of the window", 201, 9.0, 6)
    return GroupComparison(
        "slow", {"slow": a, "rest": b, "newer": newer, "older": older},
        times=summary.times(a, b), tested=64,
        findings=(
            Finding("attribute", "generation.account.id", "7", "provider_run", 18.4, (12.9, 24.0),
                    0.00002, (exemplar("311"), exemplar("298"), exemplar("305")), n=33,
                    also=("generation.user.id = 3",), comparison=("slow", "rest")),
            Finding("time", "queue", None, "queue", 4.2, (2.0, 7.7), 0.004, (exemplar("290"),),
                    n=41, window=(START, START + 30 * MINUTE_NS), comparison=("slow", "rest")),
            Finding("mix", "generation.model", "v5.5", None, 0.31, (0.18, 0.42), 0.012,
                    unit="share", n=120, comparison=("newer", "older")),
        ),
        symptoms=(
            Finding("attribute", "generation.tries", "2", "retry_wait", 11.5, (8.0, 15.2), 0.0004,
                    (exemplar("301"),), n=12, comparison=("slow", "rest")),
        ),
        notes=("6 runs have not ended and count as longer than their age",),
        not_enough_data=("image_to_image of remaker: 3 runs, 8 are needed on each side",),
    )  # fmt: skip


def failing() -> GroupComparison:
    """The answer of ``failing``: two fingerprints, one of them over."""
    a, b = group("failed", 23, 5.0, 3), group("completed", 377, 8.0, 4)
    return GroupComparison(
        "failing", {"failed": a, "completed": b}, tested=40,
        findings=(
            Finding("error", "fingerprint", "content_filtered · provider", None, 0.04,
                    (0.02, 0.07), 0.001, (exemplar("77"),), unit="share", n=19),
            Finding("attribute", "generation.model", "v4", None, 0.4, (0.1, 0.6), 0.02,
                    (exemplar("77"),), unit="share", n=22,
                    fingerprint="content_filtered · provider"),
        ),
        fingerprints=(
            Fingerprint("content_filtered ContentFilteredError · provider", 19, 19 / 23,
                        "provider", "content_filtered", "ContentFilteredError",
                        (exemplar("77"), exemplar("81")),
                        NearestSuccess("78", trace_id("78"), 12.5), START,
                        START + 90 * MINUTE_NS, True, "9f2c6a1"),
            Fingerprint("provider_unavailable · account", 4, 4 / 23, None, None, None,
                        (exemplar("12"),), None, START, START, False, None),
        ),
    )  # fmt: skip


def nothing() -> GroupComparison:
    """Too few on both sides."""
    a, b = Group("a", 2, 0, 2, None, None, ages=(3.0, 4.0)), Group("b", 0, 0, 0, None, None)
    return GroupComparison("groups", {"a": a, "b": b}, not_enough_data=("a: 2 runs, b: none",))


def wordy(found: GroupComparison) -> GroupComparison:
    """The same with texts that have no place to break at: long names, values, ids and labels."""
    word = "a" * 32 + "_" + "b" * 40
    runs = tuple(Exemplar("0123456789abcdef" * 2, "1" * 32) for _ in range(6))
    near = NearestSuccess(runs[0].id, runs[0].trace_id, 5.0)
    return replace(
        found,
        groups={key: replace(each, label=f"{each.label} {word}")
                for key, each in found.groups.items()},
        findings=[replace(each, name=word if each.kind != "error" else each.name, value=word,
                          also=(f"{word} = {word}",), exemplars=runs) for each in found.findings],
        symptoms=[replace(each, value=word, exemplars=runs) for each in found.symptoms],
        fingerprints=[replace(each, fingerprint=f"{word} {word}", exemplars=runs,
                              nearest_success=near) for each in found.fingerprints],
        notes=(word, word),
    )  # fmt: skip
