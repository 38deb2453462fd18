"""``gentrace show``: one generation, all its spans."""

from __future__ import annotations

from typing import Annotated

import typer

from gentrace.cli import output, progress
from gentrace.cli.common import (
    CaFileOption,
    HeaderOption,
    InsecureOption,
    JsonOption,
    SourceOption,
    routes,
    say_notes,
)
from gentrace.core import names
from gentrace.sources import open_source


def command(
    what: Annotated[
        str,
        typer.Argument(
            help="A generation id, or the beginning of a long one, a trace id (or its first 8 "
            "digits), trace:<id>, provider:<job id> or job:<ARQ id>. Default: the newest that "
            "failed, else the newest.",
            metavar="[GENERATION]",
            show_default=False,
        ),
    ] = "",
    source: SourceOption = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Every SQL and HTTP call, attribute and stack frame.")
    ] = False,
    header: HeaderOption = None,
    ca_file: CaFileOption = "",
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show one generation as a tree of spans on one time axis, and where its time went."""
    from gentrace.analysis import generations, remarks
    from gentrace.report import json, terminal
    from gentrace.report.links import links
    from gentrace.report.show import print_show
    from gentrace.sources import startups

    opened = open_source(source, headers=header or (), ca_file=ca_file, insecure=insecure)
    into = links(opened)
    try:
        with progress.shown(opened):
            found = generations.find(opened, what, routes(), output.say)
            chosen = found[-1]
            notes: list[str] = []
            if chosen.outcome != names.COMPLETED:
                crossed = startups.of_instances(opened, remarks.instances(chosen))
                notes = remarks.imports(chosen, crossed)
    finally:
        say_notes(opened)
    if as_json:
        print(json.dumps(json.show(found, chosen, into, notes)))
    else:
        print_show(
            terminal.console(), found, chosen, everything=everything, links=into, notes=notes
        )
