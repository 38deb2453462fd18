"""``gentrace compare``: two runs against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gentrace.cli._compare_pair import run_pair
from gentrace.cli.common import (
    CaFileOption,
    HeaderOption,
    InsecureOption,
    JsonOption,
    SourceOption,
)
from gentrace.sources import open_source


def command(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A generation id, a trace id (or its first 8 digits), provider:<job id> or "
            "job:<ARQ id>.",
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="[B]",
            show_default=False,
            help="Likewise. Default: A's first run against its last.",
        ),
    ] = "",
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one self-contained HTML page, too."),
    ] = None,
    source: SourceOption = "",
    header: HeaderOption = None,
    ca_file: CaFileOption = "",
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say where the difference between two runs lies: times, paths, the first divergence."""
    opened = open_source(source, headers=header or (), ca_file=ca_file, insecure=insecure)
    run_pair(opened, a, b, as_json=as_json, html=html)
