"""Whether a ``.env`` asks for gentrace where processes run without: they read it too late."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from gentrace.analysis.doctor import Diagnosis
from gentrace.analysis.problem import Problem
from gentrace.core import dotenv

ROLES = ("api", "worker")


def added(
    found: Diagnosis, folder: str = os.curdir, environ: Mapping[str, str] | None = None
) -> Diagnosis:
    """The diagnosis with that problem first, where the nearest ``.env`` has it.

    A ``.env`` does no harm where API and worker are traced nevertheless.
    """
    running = {process.text("role") for process in found.processes if process.may_run}
    path, _ = dotenv.asking(os.environ if environ is None else environ, [folder])
    if path is None or running.issuperset(ROLES):
        return found
    problem = Problem(
        "dotenv_not_read",
        f"{path} asks for tracing, but the host reads it after Python has started: too late",
        "set GENTRACE=1 in the environment of API and worker, start them through `gentrace exec "
        "-- CMD`, which reads .env, or import gentrace right after load_dotenv()",
    )
    return replace(found, problems=(problem, *found.problems))
