"""``gentrace doctor``: is everything in place, in checkouts or in the traced processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gentrace.cli import output
from gentrace.cli.common import (
    CaFileOption,
    HeaderOption,
    InsecureOption,
    JsonOption,
    SourceOption,
    say_notes,
)
from gentrace.core.errors import UsageError


def command(
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="[LABEL=]CHECKOUT",
            help="Look at this checkout's source instead; several are put side by side.",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", metavar="FILE", help="Write the targets of the checkouts as Markdown."
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option("--profile", metavar="NAME|FILE", help="Default: GENTRACE_PROFILE."),
    ] = "",
    source: SourceOption = "",
    header: HeaderOption = None,
    ca_file: CaFileOption = "",
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether the processes are hooked, or whether a checkout has what the profile names.

    With --host nothing of the host is imported or run. Leaves with exit code 1 when something
    required is missing.
    """
    from gentrace.analysis import doctor as diagnose
    from gentrace.analysis import unread_dotenv, unread_switch
    from gentrace.report import doctor as report
    from gentrace.report import json, terminal
    from gentrace.sources import open_source, startups

    if host:
        raise typer.Exit(_look_at(host, profile, write, as_json))
    if write is not None:
        raise UsageError("--write: it writes what --host finds; name a checkout with --host")
    opened = open_source(
        source, headers=header or (), ca_file=ca_file, insecure=insecure, records=True
    )
    told = startups.of_source(opened)
    for text in told.notes:
        output.say(text)
    say_notes(opened)
    found = diagnose.of_processes(told.found, told.not_looked_at)
    found = unread_switch.added(unread_dotenv.added(found))
    if as_json:
        print(json.dumps(report.as_object(found)))
    else:
        report.print_diagnosis(terminal.console(), found)
    raise typer.Exit(found.exit_code)


def _look_at(hosts: list[str], named: str, write: Path | None, as_json: bool) -> int:
    """The checkouts' targets: on the terminal, as one page, as JSON; the exit code."""
    from gentrace.analysis import checkouts
    from gentrace.analysis import doctor as diagnose
    from gentrace.core import profile as profiles
    from gentrace.core import settings, switch, targets
    from gentrace.report import doctor as report
    from gentrace.report import json, targets_page, terminal

    which = named or settings.read().profile
    loaded, _ = profiles.load(which)
    own = which if switch.is_path(which) else ""
    inspections = [targets.inspect(loaded, host) for host in hosts]
    found = [diagnose.of_host(loaded, inspection, own) for inspection in inspections]
    page = ""
    if write is not None or (len(found) > 1 and not as_json):
        page = targets_page.page(loaded.name, inspections, checkouts.compare(loaded, inspections))
    if write is not None:
        try:
            write.write_text(page, encoding="utf-8")
        except OSError as exc:
            raise UsageError(f"--write {write}: cannot be written: {exc.strerror}") from None
    if as_json:
        print(json.dumps(report.together(found)))
    elif write is not None or len(found) == 1:
        for one in found:
            report.print_diagnosis(terminal.console(), one, brief=write is not None)
    else:
        print(page, end="")
    return max(one.exit_code for one in found)
