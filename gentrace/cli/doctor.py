"""``gentrace doctor``: is everything in place, in a checkout or in the traced processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gentrace.analysis import doctor as diagnose
from gentrace.cli.common import JsonOption
from gentrace.core import profile as profiles
from gentrace.core import settings, targets
from gentrace.core.errors import SourceError
from gentrace.report import doctor as report
from gentrace.report import json, terminal
from gentrace.sources import processes


def command(
    host: Annotated[
        Path | None,
        typer.Option("--host", metavar="CHECKOUT", help="Look at this checkout's source instead."),
    ] = None,
    profile: Annotated[
        str,
        typer.Option("--profile", metavar="NAME|FILE", help="Default: GENTRACE_PROFILE, pixsim7."),
    ] = "",
    source: Annotated[
        Path | None, typer.Option("--source", metavar="FOLDER", help="A spool. Default: the spool.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the processes are hooked, or whether a checkout has what the profile names.

    With --host nothing of the host is imported or run. Leaves with exit code 1 when something
    required is missing.
    """
    if host is not None:
        loaded, _ = profiles.load(profile or settings.read().profile)
        found = diagnose.of_host(loaded, targets.resolve(loaded, host))
    else:
        if source is not None and not source.is_dir():
            raise SourceError(f"--source {source}: no such folder; doctor reads a spool's folder")
        found = diagnose.of_processes(processes.read(source or settings.spool_path()))
    if as_json:
        print(json.dumps(report.as_object(found)))
    else:
        report.print_diagnosis(terminal.console(), found)
    raise typer.Exit(found.exit_code)
