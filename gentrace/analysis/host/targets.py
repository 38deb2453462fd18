"""What is wrong with a profile's targets in a checkout, and what its author can do about it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from gentrace.analysis.host import places
from gentrace.analysis.problem import Problem
from gentrace.core.profile import Profile
from gentrace.core.targets import ABSENT, MISSING, Inspection, Resolved

_PYTHON = f"Python {sys.version_info[0]}.{sys.version_info[1]}"


def whose(profile: Profile, own: str) -> str:
    """Where to change it: the reader's own file, else one that extends what came with a package."""
    if own:
        return f"the profile {own}"
    return f'the profile {profile.name} (a profile of your own may say extends = "{profile.name}")'


def target_problems(profile: Profile, found: Inspection, own: str = "") -> Iterator[Problem]:
    """What is wrong with the targets, and the files that could not be read.

    Args:
        own: the profile's file, where it is one that its reader can change.
    """
    for file, why in found.unreadable.items():
        yield Problem(
            "file_unreadable",
            f"{found.checkout.shown(file)} is no Python that {_PYTHON} can parse: {why}",
            "run doctor with the Python that the host runs with; or mend the file",
        )
    for r in found.resolved:
        yield from _of_target(profile, found, r, own)


def _of_target(profile: Profile, found: Inspection, r: Resolved, own: str) -> Iterator[Problem]:
    add_place = f"set its place in targets[{r.target.name}].at in {whose(profile, own)}"
    if r.state == MISSING:
        tried = ", ".join(":".join(s) for s in r.target.spellings(profile.packages))
        why = "; ".join([r.reason, *r.notes])
        yield Problem(
            "target_missing",
            f"{r.target.name} ({r.target.role}) is nowhere: looked for {tried} ({why})"
            f"{places.meant(profile, found, r.target)}",
            f"{add_place}, or mark it optional if this revision does without it",
        )
    elif r.state == ABSENT and r.expected and r.target.role != "settings":
        yield Problem(
            "target_gone",
            f"{r.target.name} ({r.target.role}) is not here, though the host has it since "
            f"{r.target.since}: {r.reason}{places.meant(profile, found, r.target, sure=True)}",
            add_place,
            serious=False,
        )
    elif r.state == ABSENT and (meant := places.meant(profile, found, r.target, sure=True)):
        yield Problem(
            "target_misspelt",
            f"{r.target.name} ({r.target.role}) is not here: {r.reason}{meant}",
            add_place,
            serious=False,
        )
    for problem in r.problems:
        yield Problem(
            "target_mismatch",
            f"{r.target.name} at {r.spelling}: {problem}",
            f"add an alternative to targets[{r.target.name}] in {whose(profile, own)}; until then "
            "this is not recorded at this revision",
            serious=False,
        )
