"""``gentrace compare``: two runs, or groups of runs, beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gentrace.cli.common import (
    CaFileOption,
    HeaderOption,
    InsecureOption,
    JsonOption,
    SourceOption,
)
from gentrace.core.errors import UsageError
from gentrace.sources import open_source

_PRESETS = ("slow", "failing")

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=VALUE",
        help="One group: runs with this attribute (account, user, model, version, outcome, … or "
        "any name of the run span), or since=WHEN, until=WHEN. May be repeated. With `slow` and "
        "`failing`: the runs that are looked at.",
    ),
]
Vs = Annotated[
    list[str] | None,
    typer.Option(
        "--vs", metavar="NAME=VALUE", help="The other group likewise; without it, all others."
    ),
]
Since = Annotated[
    str, typer.Option(metavar="WHEN", help="Only runs since: 30m, 2h, 1d, or a date and time.")
]
Until = Annotated[str, typer.Option(metavar="WHEN", help="Only runs until.")]
Html = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write one self-contained HTML page, too."),
]


def command(
    a: Annotated[
        str,
        typer.Argument(
            metavar="[A]",
            show_default=False,
            help="A generation id, or the beginning of a long one, a trace id (or its first 8 "
            "digits), trace:<id>, provider:<job id> or job:<ARQ id>; or `slow` or `failing`: what "
            "such generations have in common.",
        ),
    ] = "",
    b: Annotated[
        str,
        typer.Argument(
            metavar="[B]",
            show_default=False,
            help="Another one. Default: A's first run against its last.",
        ),
    ] = "",
    where: Where = None,
    vs: Vs = None,
    since: Since = "",
    until: Until = "",
    new_since: Annotated[
        str,
        typer.Option(
            metavar="WHEN|VERSION",
            help="With `failing`: which failures were not there before that moment or version.",
        ),
    ] = "",
    html: Html = None,
    source: SourceOption = "",
    header: HeaderOption = None,
    ca_file: CaFileOption = "",
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what two generations, or groups of them, differ in, and how sure that is."""
    grouped = a in _PRESETS or not a
    if not grouped and (where or vs or since or until or new_since):
        raise UsageError("two generations take no --where, --vs, --since, --until or --new-since")
    if grouped and b:
        raise UsageError(f"compare {a} {b}: {a} stands for a group, and takes no second generation")
    if not a and not where:
        raise UsageError(
            "compare what? Two generations (`compare 7 8`), two groups (`compare --where "
            "account=3 --vs account=5`), `compare slow` or `compare failing`"
        )
    if a in _PRESETS and vs:
        raise UsageError(f"compare {a} takes no --vs; its other side are the other generations")
    if new_since and a != "failing":
        raise UsageError("--new-since belongs to `compare failing`")
    opened = open_source(source, headers=header or (), ca_file=ca_file, insecure=insecure)
    if not grouped:
        from gentrace.cli._compare_pair import run_pair

        run_pair(opened, a, b, as_json=as_json, html=html)
        return
    from gentrace.cli._compare_groups import run_groups, side

    run_groups(
        opened,
        a,
        side(where if a and where else (), since, until),
        side(where or ()),
        side(vs or ()),
        new_since=new_since,
        as_json=as_json,
        html=html,
    )


def slow(
    where: Where = None,
    since: Since = "",
    until: Until = "",
    html: Html = None,
    source: SourceOption = "",
    header: HeaderOption = None,
    ca_file: CaFileOption = "",
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what generations that are slow for their kind have in common (`compare slow`)."""
    command(
        "slow", where=where, since=since, until=until, html=html, source=source, header=header,
        ca_file=ca_file, insecure=insecure, as_json=as_json,
    )  # fmt: skip


def failing(
    where: Where = None,
    since: Since = "",
    until: Until = "",
    new_since: Annotated[str, typer.Option(metavar="WHEN|VERSION")] = "",
    html: Html = None,
    source: SourceOption = "",
    header: HeaderOption = None,
    ca_file: CaFileOption = "",
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what generations that fail have in common (`compare failing`)."""
    command(
        "failing", where=where, since=since, until=until, new_since=new_since, html=html,
        source=source, header=header, ca_file=ca_file, insecure=insecure, as_json=as_json,
    )  # fmt: skip
