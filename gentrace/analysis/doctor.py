"""Diagnoses: whether a checkout has what the profile names, and whether processes were hooked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gentrace.analysis import sampling
from gentrace.analysis.host import check, target_problems
from gentrace.analysis.problem import Problem
from gentrace.core.checkout import Checkout
from gentrace.core.names import LACKS_EXTRA, REFUSED
from gentrace.core.profile import Profile
from gentrace.core.targets import Inspection, Resolved
from gentrace.sources.processes import ProcessRecord

_STATES = ("patched", "late", "missing", "absent")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What doctor found; ``targets`` are rows {name, role, state, file, …}.

    In a checkout, which is looked at and not run, a target that is there is ``resolved``.
    ``not_looked_at`` says what this source cannot tell.
    """

    processes: Sequence[ProcessRecord] = ()
    targets: Sequence[dict[str, Any]] = ()
    problems: Sequence[Problem] = field(default_factory=tuple[Problem, ...])
    checkout: Checkout | None = None
    not_looked_at: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """1 where a serious problem was found, else 0."""
        return int(any(problem.serious for problem in self.problems))


def of_host(profile: Profile, found: Inspection, own: str = "") -> Diagnosis:
    """The diagnosis of a checkout's source.

    Args:
        own: the profile's file, where it is one that its reader can change.
    """
    rows = [_row(r) for r in found.resolved]
    problems = (*target_problems(profile, found, own), *check(profile, found, own))
    return Diagnosis((), rows, problems, found.checkout)


def _row(r: Resolved) -> dict[str, Any]:
    return {
        "name": r.target.name,
        "role": r.target.role,
        "state": r.state,
        "file": str(r.file) if r.file else None,
        "line": r.line or None,
        "spelling": r.spelling or None,
        "kind": r.kind or None,
        "optional": r.target.optional,
        "since": r.target.since or None,
        "reason": r.reason or None,
        "methods": [
            {"name": m.name, "owner": m.owner, "file": str(m.file), "line": m.line,
             "async": m.is_async}
            for m in r.methods
        ],
        "notes": list(r.notes),
    }  # fmt: skip


def of_processes(
    processes: Sequence[ProcessRecord], not_looked_at: Sequence[str] = ()
) -> Diagnosis:
    """The diagnosis of the processes that a source tells of."""
    alive = [process for process in processes if process.may_run]
    considered = alive or list(processes)
    targets = _merged(considered)
    problems = tuple(_process_problems(processes, alive, targets))
    return Diagnosis(processes, targets, problems, not_looked_at=not_looked_at)


_LOST = {
    "spans_lost": "spans that neither the endpoint nor the spool took",
    "changes_lost": "changes of runs that Redis did not take",
    "changes_too_late": "changes of runs that came after their span was written",
}


def _lost(process: ProcessRecord) -> Iterator[Problem]:
    """What a process says that it could not tell."""
    lost = {what: process.record.get(name) for name, what in _LOST.items()}
    said = [f"{count} {what}" for what, count in lost.items() if isinstance(count, int) and count]
    if said:
        yield Problem(
            "data_lost",
            f"the {process.text('role')} process {process.text('pid')} lost {', '.join(said)}",
            "see that the endpoint and Redis answer and have room; times and counts of some "
            "generations may be too low since it started",
            serious=False,
        )


def _refused(process: ProcessRecord) -> Iterator[Problem]:
    """The libraries that are not traced: the installed version was refused, or a package lacks."""
    libraries = process.record.get("libraries")
    for name, said in libraries.items() if isinstance(libraries, dict) else ():
        if str(said).startswith(LACKS_EXTRA):
            yield Problem(
                "library_not_traced",
                f"{name} is not traced in the {process.text('role')} process "
                f"{process.text('pid')}: its instrumentation is not installed there",
                f"pip install {str(said).removeprefix(LACKS_EXTRA)}",
                serious=False,
            )
        if str(said).startswith(REFUSED):
            yield Problem(
                "library_refused",
                f"{name} is not traced in the {process.text('role')} process "
                f"{process.text('pid')}: {str(said).removeprefix(REFUSED)}",
                f"install a release of OpenTelemetry's instrumentation that serves this {name}",
                serious=False,
            )


def _code(process: ProcessRecord) -> Iterator[Problem]:
    """What a process could not import, and where its code is not the disk's."""
    which = f"the {process.text('role')} process {process.text('pid')}"
    if errors := process.texts("import_errors"):
        yield Problem(
            "import_failed",
            f"{which} cannot import {', '.join(errors)}",
            "install the package into the environment of that process and restart it; a provider "
            "that needs it fails until then",
            serious=False,
        )
    if stale := process.texts("stale"):
        yield Problem(
            "code_stale",
            f"{which} runs code that is not what is on disk: {', '.join(stale)}",
            "restart the process; a file with another's .pyc: delete its __pycache__ first",
        )


def _merged(processes: Sequence[ProcessRecord]) -> list[dict[str, Any]]:
    """Each target once, in the best state that any process has it in."""
    best: dict[str, dict[str, Any]] = {}
    for process in processes:
        for target in process.targets:
            row = {key: target.get(key) for key in ("name", "role", "state", "file")}
            if target.get("copies"):
                row["copies"] = target["copies"]
            known = best.get(str(row["name"]))
            if known is None or _rank(row) < _rank(known):
                best[str(row["name"])] = row
    return list(best.values())


def _called(row: dict[str, Any]) -> str:
    """A target by its name and, where the source tells it, its role."""
    return f"{row['name']} ({row['role']})" if row["role"] else str(row["name"])


def _rank(row: dict[str, Any]) -> int:
    state = str(row["state"])
    return _STATES.index(state) if state in _STATES else len(_STATES)


def _process_problems(
    processes: Sequence[ProcessRecord],
    alive: Sequence[ProcessRecord],
    targets: Sequence[dict[str, Any]],
) -> Iterator[Problem]:
    switch_on = "start it with GENTRACE=1 in its environment, or through `gentrace exec -- CMD`"
    if not processes:
        yield Problem(
            "nothing_seen",
            "no process has ever been traced into this spool",
            f"for API and worker: {switch_on}",
        )
        return
    for role in ("api", "worker"):
        if not any(process.text("role") == role for process in alive):
            seen = [p.text("last_seen") for p in processes if p.text("role") == role]
            when = f", last seen {max(seen)}" if seen else ""
            yield Problem(
                f"no_{role}", f"no traced {role} process runs now{when}", f"{role}: {switch_on}"
            )
    files = {p.text("package_file") for p in alive if p.text("package_file")}
    if len(files) > 1:
        yield Problem(
            "package_differs",
            f"the running processes use different copies of the host: {', '.join(sorted(files))}",
            "start them from the same directory and with the same interpreter",
        )
    for told in sampling.samplers(alive):
        yield Problem("sampled", told, sampling.SET, serious=False)
    for process in alive:
        for name in process.record.get("hooks_off") or ():
            yield Problem(
                "hook_off",
                f"hook {name} kept failing in the {process.text('role')} process "
                f"{process.text('pid')} and switched itself off",
                "restart the process; its stderr names the error. What the hook observes is not "
                "recorded until then",
            )
        yield from _lost(process)
        yield from _refused(process)
        yield from _code(process)
    for row in targets:
        if row["state"] == "missing":
            yield Problem(
                "target_missing",
                f"{_called(row)} was not found where the profile says",
                "run `gentrace doctor --host CHECKOUT` to see where it was looked for",
            )
        elif row["state"] == "late":
            yield Problem(
                "target_late",
                f"{_called(row)} was imported before it could be hooked; unseen "
                f"call it: {', '.join(row.get('copies', ())) or 'unknown'}",
                "set GENTRACE=1 in the environment rather than importing gentrace late",
                serious=False,
            )
