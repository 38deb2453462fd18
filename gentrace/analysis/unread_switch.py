"""Whether Python reads the start-up file that came with gentrace: elsewhere it is just a file."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import gentrace
from gentrace.analysis.doctor import Diagnosis
from gentrace.analysis.problem import Problem
from gentrace.analysis.unread_dotenv import ROLES

FILE = "gentrace.start" if sys.version_info >= (3, 15) else "gentrace.pth"


def added(
    found: Diagnosis, folders: Iterable[str] | None = None, package: str | None = None
) -> Diagnosis:
    """The diagnosis with that problem first, where this Python reads no such file.

    It does no harm where API and worker are traced nevertheless.

    Args:
        folders: where this Python looks for start-up files.
        package: gentrace's own folder.
    """
    running = {process.text("role") for process in found.processes if process.may_run}
    read = _site_folders() if folders is None else folders
    if "PEX" in os.environ:  # which reads the start-up files of what is in it by itself
        return found
    if running.issuperset(ROLES) or any(os.path.isfile(os.path.join(f, FILE)) for f in read):
        return found
    beside = Path(package or os.path.dirname(os.path.abspath(gentrace.__file__))).parent
    path = beside / FILE
    lies = f"{path} is not read" if path.is_file() else f"there is no {FILE}"
    problem = Problem(
        "switch_not_read",
        f"{lies}: gentrace is imported from {beside}, which is no folder of {sys.executable} for "
        "start-up files (pip install --target, PYTHONPATH). GENTRACE=1 alone does nothing",
        "start API and worker through `gentrace exec -- CMD`, import gentrace in their first "
        "module, or install gentrace into the environment that runs them",
    )
    return replace(found, problems=(problem, *found.problems))


def _site_folders() -> list[str]:
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [*site.getsitepackages(), *user]
