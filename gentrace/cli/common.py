"""What the reading commands share: the options, the source, the profile's routes, the notes."""

from __future__ import annotations

from typing import Annotated

import typer

from gentrace.cli import output
from gentrace.core import profile, settings
from gentrace.sources import Source

SourceOption = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="WHERE",
        help="A Jaeger's address, or a file or folder of OTLP JSON lines. Default: "
        "GENTRACE_SOURCE, else the spool.",
    ),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="NAME=VALUE",
        help="Sent to the Jaeger with each request; may be repeated. GENTRACE_SOURCE_HEADERS "
        "keeps it out of the list of processes.",
    ),
]
CaFileOption = Annotated[
    str,
    typer.Option(
        "--ca-file", metavar="FILE", help="Certificates to trust, as SSL_CERT_FILE, for a Jaeger."
    ),
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure", help="Trust any certificate of the Jaeger's.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]

SWITCH_ON = (
    "nothing has been traced yet: {where} is empty. Start API and worker with GENTRACE=1 in their "
    "environment (or `gentrace exec -- CMD`), then make a generation."
)


def routes() -> frozenset[str]:
    """The routes that make generations, by the profile that GENTRACE_PROFILE names.

    Raises:
        ProfileError: that profile cannot be used.
    """
    loaded, _ = profile.load(settings.read().profile)
    return frozenset(route.path for route in loaded.routes)


def say_notes(source: Source) -> None:
    """What the user should know of the reading, on stderr."""
    for note in source.notes:
        output.say(note)
