"""Groups of runs against each other on the terminal, and the sentences that the page shares."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from gentrace.analysis.compare.durations import DURATION
from gentrace.analysis.compare.model import (
    Exemplar,
    Finding,
    Fingerprint,
    Group,
    GroupComparison,
    NearestSuccess,
    TimeDifference,
)
from gentrace.analysis.compare.summary import counted
from gentrace.report import words
from gentrace.report.links import Links
from gentrace.report.terminal import address, indented, wrapped, write
from gentrace.report.unanswered import nothing, short

LETTERS = "ABCDEFGH"
SYMPTOMS = "symptoms, not causes: what became of the runs and no finding accounts for"
STILL = {True: "still happening", False: "over", None: "too few to say whether it is over"}
_SHOWN_FINGERPRINTS, _SHOWN_EXEMPLARS = 10, 4


def print_groups(to: Console, found: GroupComparison, links: Links | None = None) -> None:
    """The groups, where the time goes, the findings ranked, and for failures their fingerprints."""
    for letter, group in zip(LETTERS, found.groups.values(), strict=False):
        _group(to, letter, group)
    if found.times:
        to.print()
        _times(to, found)
    to.print()
    _findings(to, found, links)
    _symptoms(to, found)
    if found.fingerprints:
        to.print()
        _fingerprints(to, found.fingerprints, links)
    if short(found) or found.notes:
        to.print()
    for text in short(found):
        indented(to, f"• not enough data: {text}", "yellow", 0, 2)
    for text in found.notes:
        indented(to, f"• {text}", "dim", 0, 2)


def seconds(value: float | None) -> str:
    """A duration in seconds, in few characters."""
    return "not reached" if value is None else words.duration(round(value * 1e9))


def spent(value: float | None) -> str:
    """Seconds in one of the times; a dash where they are not known."""
    return "-" if value is None else seconds(value)


def signed(value: float | None) -> str:
    """A difference in seconds, with its sign."""
    return "-" if value is None else words.signed(round(value * 1e9))


def effect(found: Finding, value: float) -> str:
    """An effect or an end of its interval, in its unit."""
    return f"{value * 100:+.1f} %" if found.unit == "share" else signed(value)


def size(found: Finding) -> str:
    """The effect with its interval."""
    low, high = found.interval
    bound = "at least " if found.at_least else ""
    return f"{bound}{effect(found, found.effect)} [{effect(found, low)}, {effect(found, high)}]"


def probability(value: float) -> str:
    """A corrected p."""
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.2g}"


def what(found: Finding) -> str:
    """What was found, in short: an attribute's value, a time, a fingerprint."""
    told = f"{found.name} = {found.value}" if found.value is not None else found.name
    if found.time and found.time != found.name:
        told += f", in {found.time}"
    if found.fingerprint and found.kind != "error":
        told += f", of {found.fingerprint}"
    if found.window:
        told += f", from {words.moment(found.window[0])} to {words.moment(found.window[1])}"
    return told


def meaning(found: Finding) -> str:
    """What kind of finding it is, in a sentence."""
    more = found.effect > 0
    match found.kind:
        case "attribute" if found.unit == "share":
            return f"{'more' if more else 'fewer'} of these runs carry it than of their kind"
        case "attribute":
            return f"runs with it are {'slower' if more else 'faster'} than others of their kind"
        case "time":
            whole = found.name == DURATION
            told = "their whole duration" if whole else "this time"
            told += f" is {'longer' if more else 'shorter'}"
            told += "; in which of the times is not known" if whole else ""
            return told if found.also else f"{told}; no attribute accounts for it"
        case "mix":
            return "its share changed, and nothing got slower within: a change of what was asked"
        case "error":
            return f"this failure is {'more' if more else 'less'} frequent"
        case _:
            return found.kind


def compared(answer: GroupComparison, found: Finding) -> str:
    """Which two of the groups it comes from, where there are more than two."""
    letters = {name: letter for letter, name in zip(LETTERS, answer.groups, strict=False)}
    if len(letters) < 3 or not all(name in letters for name in found.comparison):
        return ""
    a, b = found.comparison
    return f"{a} beside {b} ({letters[a]}, {letters[b]})"


def summary(group: Group) -> str:
    """How many runs, how they ended, and how long they took."""
    ended = ", ".join(f"{count} {name}" for name, count in group.outcomes.items() if count)
    told = [counted(group.n, "run") + (f": {ended}" if ended else "")]
    if group.unfinished and "unfinished" not in group.outcomes:
        told.append(f"{group.unfinished} unfinished")
    if group.n:
        told.append(f"median {seconds(group.p50_s)}")
        told.append(f"p90 {seconds(group.p90_s)}")
    return " · ".join(told)


def _group(to: Console, letter: str, group: Group) -> None:
    write(to, Text(f"{letter}  ", "bold").append(group.label, "bold"))
    indented(to, summary(group), "", 3)


def _times(to: Console, found: GroupComparison) -> None:
    """The mean of each time on both sides; the differences add up to that of the durations."""
    longest = max(max(each.a_s or 0.0, each.b_s or 0.0) for each in found.times.values())
    bar = max(8, min(30, (to.width - 58) // 2))
    head = f"{'mean time':<15} {'A':>8} {'':{bar}} {'B':>8} {'':{bar}} {'A - B':>9} {'share':>5}"
    write(to, Text(head, "dim"))
    for name, each in found.times.items():
        line = Text(f"{name:<15} ")
        for value, colour in ((each.a_s, "cyan"), (each.b_s, "magenta")):
            cells = max(1, round(value / longest * bar)) if value else 0
            line.append(f"{seconds(value) if value else '-':>8} ")
            line.append(f"{'█' * cells:{bar}} ", colour)
        difference = each.difference_s or 0.0
        telling = abs(difference) * 20 > longest
        style = "dim" if not telling else "red" if difference > 0 else "green"
        line.append(f"{signed(each.difference_s):>9} {share(each):>5}", style)
        write(to, line)


def share(each: TimeDifference) -> str:
    """Its part of what makes the difference; nothing for a time that goes the other way."""
    return "" if each.share is None else words.percent(each.share)


def _findings(to: Console, found: GroupComparison, links: Links | None) -> None:
    if not found.findings:
        indented(to, nothing(found), "bold", 0, 2)
        return
    covered = f", corrected for the {found.tested} tested" if found.tested else ""
    write(to, Text(f"found, the strongest cause first{covered}", "dim"))
    for number, each in enumerate(found.findings, 1):
        _finding(to, found, f"{number}. ", each)
        indented(to, meaning(each), "dim", 3)
        if each.also:
            indented(to, f"the same runs carry {', '.join(each.also)}", "dim", 3)
        _exemplars(to, each.exemplars, links)


def _symptoms(to: Console, found: GroupComparison) -> None:
    if found.symptoms:
        to.print()
        write(to, Text(SYMPTOMS, "dim"))
    for each in found.symptoms:
        _finding(to, found, "•  ", each)


def _finding(to: Console, answer: GroupComparison, mark: str, found: Finding) -> None:
    indented(to, f"{mark}{what(found)}", "bold", 0, 3)
    told = [
        size(found),
        probability(found.p_adjusted),
        counted(found.n, "run") if found.n else None,
    ]
    indented(to, words.joined([*told, compared(answer, found)]), "", 3)


def _fingerprints(to: Console, found: Sequence[Fingerprint], links: Links | None) -> None:
    write(to, Text("failures that look alike", "dim"))
    for each in found[:_SHOWN_FINGERPRINTS]:
        part = words.percent(each.share)
        line = Text(f"{each.n:>5}  {part:>5}  ", "")
        first, *more = wrapped(each.fingerprint, to.width - 14)
        write(to, line.append(first, "bold"))
        for text in more:
            write(to, Text(" " * 14 + text, "bold"))
        indented(to, history(each), "", 14)
        if each.nearest_success is not None:
            near = each.nearest_success
            told = f"nearest success: {near.id}, {apart(near)}"
            if each.exemplars:
                told += f"; gentrace compare {near.id} {each.exemplars[0].id}"
            indented(to, told, "dim", 14)
        _exemplars(to, each.exemplars, links, 14)
    if len(found) > _SHOWN_FINGERPRINTS:
        indented(to, f"and {len(found) - _SHOWN_FINGERPRINTS} rarer; --json has them", "dim", 14)


def apart(found: NearestSuccess) -> str:
    """How far off in time, and whether it is of another kind."""
    told = f"{seconds(found.apart_s)} apart"
    return told if found.same_kind else f"{told}, of another kind (its own has no success)"


def history(found: Fingerprint) -> str:
    """Since when, until when, and whether it goes on."""
    seen = [words.moment(found.first_seen_ns)]
    if found.last_seen_ns != found.first_seen_ns:
        seen.append(words.moment(found.last_seen_ns))
    told = [
        f"stage {found.stage}" if found.stage else None,
        " to ".join(seen),
        STILL[found.still_happening],
        f"new since {found.new_since}" if found.new_since else None,
    ]
    return words.joined(told)


def _exemplars(
    to: Console, found: Sequence[Exemplar], links: Links | None, indent: int = 3
) -> None:
    if not found:
        return
    shown = found[:_SHOWN_EXEMPLARS]
    ids = ", ".join(each.id for each in shown)
    indented(to, f"see gentrace show {ids}", "dim", indent)
    if links:
        address(to, links.trace(shown[0].trace_id))
