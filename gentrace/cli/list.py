"""``gentrace list``: the newest runs, a line each."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gentrace.cli import output, progress
from gentrace.cli.common import (
    SWITCH_ON,
    CaFileOption,
    HeaderOption,
    InsecureOption,
    JsonOption,
    SourceOption,
    routes,
    say_notes,
)
from gentrace.core.errors import UsageError
from gentrace.sources import open_source

Outcomes = Annotated[
    list[str] | None,
    typer.Option(
        "--outcome",
        help="completed, failed, cancelled, unfinished, refused, returned; may be repeated.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=VALUE",
        help="An attribute on any of its spans, or a short name: account=2.",
    ),
]


def command(
    generation: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GENERATION]...",
            show_default=False,
            help="Only these: ids, or the beginnings of long ones.",
        ),
    ] = None,
    source: SourceOption = "",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Started since: 30m, 2h, 1d, or a date and time.")
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="WHEN", help="Started until then; as --since.")
    ] = "",
    outcome: Outcomes = None,
    provider: Annotated[str, typer.Option(help="The provider.")] = "",
    model: Annotated[str, typer.Option(help="The provider's model.")] = "",
    operation: Annotated[str, typer.Option(help="What was asked, e.g. image_to_video.")] = "",
    account: Annotated[str, typer.Option(help="The last account's id.")] = "",
    user: Annotated[str, typer.Option(help="The user's id.")] = "",
    error: Annotated[str, typer.Option(help="The error's code or type; * matches any text.")] = "",
    where: Where = None,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 is all.")] = 50,
    header: HeaderOption = None,
    ca_file: CaFileOption = "",
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """List generations, the newest first: how each ended and where its time went."""
    from gentrace.analysis import filters, generations, sampling
    from gentrace.report import json, terminal
    from gentrace.report.links import links
    from gentrace.report.listing import print_listing

    wanted = filters.Filter(
        window=filters.window(since, until),
        outcomes=[o.strip() for text in outcome or () for o in text.split(",")],
        provider=provider,
        model=model,
        operation=operation,
        account=account,
        user=user,
        error=error,
        where=[filters.condition(text) for text in where or ()],
        ids=generation or (),
    )
    if any(not name for name in wanted.outcomes):
        raise UsageError("--outcome: a status was expected, such as failed")
    opened = open_source(source, headers=header or (), ca_file=ca_file, insecure=insecure)
    into = links(opened)
    with progress.shown(opened):
        found = generations.listing(opened, wanted, limit, routes())
    searches = into.of_listing(found.runs, wanted) if into else None
    if as_json:
        print(json.dumps(json.listing(found, into, searches)))
    elif found.runs:
        print_listing(terminal.console(), found, searches=searches)
    sampled = "" if found.runs else sampling.left_out(opened)
    if sampled:
        output.say(sampled)
    elif not found.runs and opened.is_empty():
        hint = f"gentrace: {SWITCH_ON.format(where=opened.description)}"
        print(hint, file=sys.stderr if as_json else sys.stdout)
    if not found.runs and not as_json and not opened.is_empty():
        output.say(f"no generation in {opened.description} fulfils this")
    for note in found.notes:
        output.say(note)
    say_notes(opened)
