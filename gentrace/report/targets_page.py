"""The Markdown page that shows where a profile's targets stand in several checkouts of the host.

The same checkouts give the same page, on any machine: it holds no absolute path and no line of
the host's own text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gentrace.analysis.checkouts import Row, Told
from gentrace.core.targets import ABSENT, RESOLVED, Inspection

_ABSENT, _MISSING = "–", "✗"


def page(name: str, inspections: Sequence[Inspection], rows: Sequence[Row]) -> str:
    """The whole page.

    Args:
        name: the profile's.
        inspections: one for each checkout, in the order of the columns.
        rows: the targets.
    """
    columns = _columns(inspections)
    parts = [
        f"# Where the targets of {name} stand",
        "Written by `gentrace doctor --host LABEL=CHECKOUT … --write FILE`, from the source alone: "
        "nothing of the host is imported or run. How a profile declares its targets is in "
        "[profile.md](profile.md).",
        *_checkouts(inspections, columns),
        "## Targets",
        f"A number is the spelling that stands in that checkout (listed below); {_ABSENT} is "
        f"absent, with its reason below; {_MISSING} is missing: required, and nowhere.",
        _table(rows, columns),
        "## Spellings",
        *(_list(row, row.spellings, columns, code=True) for row in rows if row.spellings),
        "## Methods of the adapters",
        *(_list(row, row.methods, columns, code=True) for row in rows if row.methods),
        "## Absent, and why",
        *(_list(row, row.reasons, columns) for row in rows if row.reasons),
        "## Remarks",
        *(_list(row, row.remarks, columns) for row in rows if row.remarks),
    ]
    return "\n\n".join(parts) + "\n"


def _columns(inspections: Sequence[Inspection]) -> list[str]:
    """Short heads: the first word of each label, where these differ."""
    labels = [inspection.checkout.label for inspection in inspections]
    heads = [label.split()[0] for label in labels]
    return heads if len(set(heads)) == len(heads) else labels


def _checkouts(inspections: Sequence[Inspection], columns: Sequence[str]) -> Iterable[str]:
    yield "| | checkout | packages | resolved | absent | missing |\n|---|---|---|---|---|---|\n" + (
        "\n".join(
            f"| {column} | {_cell(found.checkout.label)} "
            f"| {', '.join(f'`{p}`' for p in found.checkout.packages)} | {_counts(found)} |"
            for column, found in zip(columns, inspections, strict=True)
        )
    )
    for column, found in zip(columns, inspections, strict=True):
        if len(found.checkout.packages) > 1:
            yield (
                f"{column} holds the host under each of these packages; what a process imports of "
                "them is hooked, and the first is described here."
            )
        for file, why in found.unreadable.items():
            yield f"{column}: {found.checkout.shown(file)} cannot be parsed: {why}"


def _counts(found: Inspection) -> str:
    states = Counter(r.state for r in found.resolved)
    absent, resolved = states[ABSENT], states[RESOLVED]
    return f"{resolved} | {absent} | {len(found.resolved) - resolved - absent}"


def _table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    lines = [f"| target | role | {' | '.join(columns)} |", "|---|---" + "|---" * len(columns) + "|"]
    for row in rows:
        cells = [
            str(row.spelling(i)) if r.state == RESOLVED else _sign(r.state)
            for i, r in enumerate(row.found)
        ]
        lines.append(f"| {row.target.name} | {row.target.role} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _sign(state: str) -> str:
    return _ABSENT if state == ABSENT else _MISSING


def _list(row: Row, told: Sequence[Told], columns: Sequence[str], *, code: bool = False) -> str:
    """A target's name and a numbered list under it; with ``code`` the first word is a name."""
    lines = [f"**{row.target.name}**\n"]
    for number, one in enumerate(told, 1):
        name, _, rest = one.text.partition(" ")
        text = f"`{name}` {rest}" if code else _cell(one.text)
        lines.append(f"{number}. {_ranges(one.where, columns)}: {text}")
    return "\n".join(lines)


def _ranges(where: Sequence[int], columns: Sequence[str]) -> str:
    """Positions as the columns' heads, neighbours drawn together."""
    runs: list[list[int]] = []
    for position in where:
        if runs and position == runs[-1][-1] + 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    return ", ".join(
        columns[run[0]] if len(run) == 1 else f"{columns[run[0]]}–{columns[run[-1]]}"
        for run in runs
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("\n", " ")
