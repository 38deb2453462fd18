"""A mistake planted in the host's adapter: what the failing span and `gentrace show` make of it.

The checkout stays as it is. Workers get a folder in front of their path in which that one file is
another and everything else leads to the checkout.
"""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import reading
from tests.support.programs import BIN
from tools.real_host.day import Case, Day, Scenario
from tools.real_host.host import wait_until

ADAPTERS = Path("pixsim7/backend/main/services/provider/adapters")
FUNCTION = "_generate_text_to_video"
MISTAKE = "a_name_that_nobody_has_defined"
WRITTEN_S = 60.0


@dataclass(frozen=True)
class Planted:
    """Where the mistake is: a folder for the path, and the file below it with the line."""

    folder: Path
    file: str
    line: int


def plant(checkout: Path, folder: Path) -> Planted:
    """Makes the folder; the function's first line asks for a name that there is not."""
    for source in sorted((checkout / ADAPTERS).glob("*.py")):
        lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
        for function in _functions("".join(lines)):
            first = function.body[0]
            lines.insert(first.lineno - 1, f"{' ' * first.col_offset}{MISTAKE}\n")
            file = source.relative_to(checkout)
            _lead_to(checkout, folder, file)
            (folder / file).write_text("".join(lines), encoding="utf-8")
            return Planted(folder, file.as_posix(), first.lineno)
    raise LookupError(f"no {FUNCTION} in {ADAPTERS}")


def _functions(text: str) -> Iterator[ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.AsyncFunctionDef) and node.name == FUNCTION:
            yield node


def _lead_to(checkout: Path, folder: Path, file: Path) -> None:
    """Folders down to the file, and beside each of them links to what the checkout has there."""
    for part in (*reversed(file.parents), file):
        (folder / part.parent).mkdir(parents=True, exist_ok=True)
        if part == Path():
            continue
        for entry in (checkout / part.parent).iterdir():
            link = folder / part.parent / entry.name
            if entry.name != part.name and not link.exists():
                link.symlink_to(entry)


def name_error(day: Day) -> None:
    """The adapter asks for a name that nobody has defined; the worker is told nothing of it."""
    planted = plant(day.host.checkout, day.host.folder / "planted")
    with _workers_of(day, planted.folder):
        case = day.ask("NameError in the adapter", outcome="failed", attempts=1)
        case.expected["error.cause"] = ("NameError",)
        day.host.wait_final([case.generation_id], 120)
        wait_until(lambda: day.written([case], 1), "the run is written", WRITTEN_S)
    problems = [*_spans(day, case, planted), *_shown(day, case, planted)]
    if problems:
        raise RuntimeError("; ".join(problems))
    day.remarks.append(f"NameError: {planted.file}:{planted.line} on the spans and in `show`")


@contextmanager
def _workers_of(day: Day, folder: Path) -> Generator[None]:
    """One worker that imports the host from that folder; two as before afterwards."""
    day.host.stop_workers()
    day.host.start_workers(1, day.host.importing_from(folder))
    try:
        yield
    finally:
        day.host.stop_workers()
        day.host.start_workers(2)


def _spans(day: Day, case: Case, planted: Planted) -> list[str]:
    spans = reading.spooled_of(day.host.spool, case.generation_id)
    failing = [s for s in spans if s["attributes"].get("code.line.number") is not None]
    wanted = (planted.file, planted.line)
    found: list[str] = []
    for name in ("provider.execute", f"pixverse.{FUNCTION}"):
        told = [s["attributes"] for s in failing if s["name"] == name]
        at = [(each.get("code.file.path"), each.get("code.line.number")) for each in told]
        if wanted not in at:
            found.append(f"{name}: {at} in place of {wanted}")
    if not any(
        str(each["attributes"].get("code.function.name", "")).endswith(FUNCTION) for each in failing
    ):
        found.append(f"no span with code.function.name {FUNCTION}")
    return found


def _shown(day: Day, case: Case, planted: Planted) -> list[str]:
    command = [str(BIN / "gentrace"), "show", case.generation_id, "--source", str(day.host.spool)]
    place = f"{Path(planted.file).name}:{planted.line}"  # the folders between are left out
    text = _said([*command])
    told = json.loads(_said([*command, "--json"]))
    found = (
        [] if place in text and "NameError" in text else [f"show does not name {place}:\n{text}"]
    )
    if planted.file not in json.dumps(told):
        found.append("show --json does not name the file")
    return found


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


PLANTED: dict[str, Scenario] = {"name_error": name_error}
