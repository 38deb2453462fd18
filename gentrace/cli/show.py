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
from gentrace.sources import open_source


def command(
    what: Annotated[
        str,
        typer.Argument(
            help="A generation id, a trace id (or its first 8 digits), trace:<id>, "
            "provider:<job id> or job:<ARQ id>. Default: the newest that failed, else the newest.",
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
    from gentrace.analysis import generations
    from gentrace.report import json, terminal
    from gentrace.report.links import links
    from gentrace.report.show import print_show

    opened = open_source(source, headers=header or (), ca_file=ca_file, insecure=insecure)
    into = links(opened)
    try:
        with progress.shown(opened):
            found = generations.find(opened, what, routes(), output.say)
    finally:
        say_notes(opened)
    chosen = found[-1]
    if as_json:
        print(json.dumps(json.show(found, chosen, into)))
    else:
        print_show(terminal.console(), found, chosen, everything=everything, links=into)
