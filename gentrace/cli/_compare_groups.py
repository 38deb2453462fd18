"""``gentrace compare slow``, ``failing`` and ``--where … --vs …``: groups of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gentrace.analysis import filters, sampling
from gentrace.analysis.compare import ask
from gentrace.analysis.compare.ask import Side
from gentrace.analysis.compare.model import GroupComparison
from gentrace.cli import output, progress
from gentrace.cli.common import SWITCH_ON
from gentrace.core.errors import SourceError, UsageError
from gentrace.report import group_json, groups, json, terminal
from gentrace.report.links import links
from gentrace.sources import Source

PRESETS = ("slow", "failing")
_SINCE, _UNTIL = "since", "until"


def run_groups(
    source: Source,
    question: str,
    among: Side,
    a: Side,
    b: Side,
    *,
    new_since: str = "",
    as_json: bool = False,
    html: Path | None = None,
) -> None:
    """Print what the groups differ in, or write it as one page.

    Args:
        question: one of :data:`PRESETS`, or empty: ``a`` beside ``b``.
        among: the runs that are looked at at all.

    Raises:
        SourceError: the source cannot be read, or nothing was ever written to it.
    """
    if source.is_empty():
        sampled = sampling.left_out(source)
        empty = f"{source.description} is empty: {sampled}" if sampled else ""
        raise SourceError(empty or SWITCH_ON.format(where=source.description))
    if not question and a.same_as(b):
        raise UsageError(f"--where {a.label} --vs {b.label}: both sides are the same runs")
    with progress.shown(source):
        if question == "slow":
            found = ask.slow_ones(source, among)
        elif question == "failing":
            found = ask.failing_ones(source, among, _moment_or_version(new_since))
        else:
            found = ask.two_groups(source, a, b, among)
    _answer(source, found, as_json, html)


def side(given: Sequence[str], since: str = "", until: str = "") -> Side:
    """A group from ``NAME=VALUE`` texts; ``since`` and ``until`` among the names are its window.

    Raises:
        UsageError: a text is no condition or no moment, or the window ends before it begins.
    """
    where: list[tuple[str, str]] = []
    label = " ".join(given)
    for text in given:
        name, value = filters.condition(text)
        if name == _SINCE:
            since = value
        elif name == _UNTIL:
            until = value
        else:
            where.append((name, value))
    return Side(tuple(where), filters.window(since, until), label)


def _moment_or_version(text: str) -> str | int | None:
    """A moment as ``list --since`` takes it, else the text: a version of the code."""
    if not text:
        return None
    try:
        return filters.moment_ns(text)
    except filters.UsageError:
        return text


def _answer(source: Source, found: GroupComparison, as_json: bool, html: Path | None) -> None:
    into = links(source)
    if as_json:
        print(json.dumps(group_json.as_object(found, into)))
    else:
        groups.print_groups(terminal.console(), found, into)
    if html is not None:
        from gentrace.cli._compare_pair import write_page
        from gentrace.report import groups_page
        from gentrace.report.asked import asked

        question = asked(output.arguments(), source.description)
        write_page(html, groups_page.page(found, into, question))
