"""Doctor's answers: targets and processes as tables, problems each with what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gentrace.analysis.doctor import Diagnosis
from gentrace.report.terminal import say, wrapped, write
from gentrace.sources.processes import ProcessRecord

_STYLES = {"resolved": "green", "patched": "green", "late": "yellow", "missing": "bold red"}
_FIELDS = (
    "instance", "service", "role", "pid", "python", "package_file", "cwd", "revision", "queue",
    "started_at", "last_seen", "place",
)  # fmt: skip


def as_object(found: Diagnosis) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "processes": [
            {
                **{name: process.record.get(name) for name in _FIELDS},
                "import_errors": process.texts("import_errors"),
                "stale": process.texts("stale"),
                "alive": process.alive,
            }
            for process in found.processes
        ],
        "targets": list(found.targets),
        "problems": [asdict(problem) for problem in found.problems],
        "not_looked_at": list(found.not_looked_at),
    }


def together(found: Sequence[Diagnosis]) -> dict[str, Any]:
    """The answer of one or several checkouts; of several, each row names its own."""
    answer: dict[str, Any] = {"processes": [], "checkouts": [], "targets": [], "problems": []}
    for one in found:
        assert one.checkout is not None
        head, told = one.checkout, as_object(one)
        answer["checkouts"].append(
            {"label": head.label, "date": head.day or None, "root": str(head.root)}
        )
        for name in ("targets", "problems"):
            own = {"checkout": head.label} if len(found) > 1 else {}
            answer[name] += [{**row, **own} for row in told[name]]
    return answer


def print_diagnosis(to: Console, found: Diagnosis, *, brief: bool = False) -> None:
    """The answer for people: what runs, the targets, the problems and how many of each.

    Args:
        brief: leave the targets out; they were written elsewhere.
    """
    if found.checkout is not None:
        head = Text(f"{found.checkout.label} ", "bold")
        write(to, head.append(str(found.checkout.root), "dim"))
    for process in _telling(found.processes):
        _print_process(to, process)
    telling = [row for row in found.targets if row["state"] != "patched"]
    if telling and not brief:
        _print_targets(to, telling)
    for problem in found.problems:
        style = "red" if problem.serious else "yellow"
        say(to, f"{'✗' if problem.serious else '•'} {problem.summary}", style, "  ")
        say(to, f"→ {problem.fix}", "", "  ")
    for text in found.not_looked_at:
        say(to, f"not looked at: {text}", "dim", "  ")
    write(to, Text(_counts(found), "bold"))


def _telling(processes: Sequence[ProcessRecord]) -> list[ProcessRecord]:
    """Those that run; of a role of which none runs, the last one."""
    running = [process for process in processes if process.may_run]
    roles = {process.text("role") for process in running}
    ended: dict[str, ProcessRecord] = {}
    for process in processes:
        if process.text("role") not in roles:
            ended.setdefault(process.text("role"), process)
    return [*running, *ended.values()]


def _print_process(to: Console, process: ProcessRecord) -> None:
    head = Text(f"{process.text('service') or process.text('role')} ", "bold")
    head.append(f"pid {process.text('pid')} ")
    if process.alive is None:
        head.append(f"started {process.text('started_at')}", "dim")
    else:
        head.append("runs" if process.alive else "ended", "green" if process.alive else "yellow")
        head.append(f", last seen {process.text('last_seen')}", "dim")
    write(to, head)
    for name in ("python", "package_file", "cwd", "queue"):
        if process.text(name):
            write(to, Text(f"    {name:12} {process.text(name)}"))
    place = process.part("place")
    if place.get("destination"):
        write(to, Text(f"    {'spans to':12} {place['destination']}"))
        write(to, Text(f"    {'':12} {place.get('why', '')}", "dim"))


def _print_targets(to: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    base = _common([str(row["file"]) for row in rows if row.get("file")])
    if base is not None:
        write(to, Text(f"below {base}", "dim"))
    name_width = max(cell_len(str(row["name"])) for row in rows)
    for row in rows:
        state = str(row["state"])
        line = Text(f"{state:8}", _STYLES.get(state, "dim"))
        line.append(f" {row['name']:{name_width}} ", "bold")
        place = _place(row.get("file"), row.get("line"), base)
        if not place:
            place = str(row.get("reason") or "")
        if cell_len(line.plain) + cell_len(place) <= to.width:
            write(to, line.append(place, "" if row.get("file") else "dim"))
        else:
            write(to, line)
            write(to, Text(" " * 9 + place))
        for method in row.get("methods") or ():
            where = f"{Path(str(method['file'])).name}:{method['line']}"
            write(to, Text(f"{'':9}{method['name']}  {where}", "dim"))
        for note in row.get("notes") or () if state == "resolved" else ():
            for text in wrapped(str(note), to.width - 9):
                write(to, Text(" " * 9 + text, "yellow"))


def _common(files: Sequence[str]) -> Path | None:
    """The folder that most of the files are below, where one is worth naming."""
    folders = [parent for file in files for parent in Path(file).parents]
    often = [f for f, n in Counter(folders).items() if n > len(files) / 2 and len(f.parts) > 1]
    return max(often, key=lambda folder: len(folder.parts), default=None)


def _place(file: object, line: object, base: Path | None) -> str:
    if not file:
        return ""
    path = Path(str(file))
    if base is not None and path.is_relative_to(base):
        path = path.relative_to(base)
    return f"{path}:{line}" if line else str(path)


def _counts(found: Diagnosis) -> str:
    states = [str(row["state"]) for row in found.targets]
    told = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    serious = sum(problem.serious for problem in found.problems)
    remarks = len(found.problems) - serious
    told.append(f"{serious} problem{'s' * (serious != 1)}" if serious else "no problem")
    if remarks:
        told.append(f"{remarks} remark{'s' * (remarks != 1)}")
    return ", ".join(told)
