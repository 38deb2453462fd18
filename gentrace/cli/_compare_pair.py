"""``gentrace compare A B``: two runs, or the first and the last run of one generation."""

from __future__ import annotations

from pathlib import Path

from gentrace.analysis.compare import pairs
from gentrace.cli import output, progress
from gentrace.cli.common import routes, say_notes
from gentrace.core.errors import UsageError
from gentrace.report import json, pair, pair_json, terminal
from gentrace.report.links import links
from gentrace.sources import Source


def run_pair(
    source: Source, a: str, b: str = "", *, as_json: bool = False, html: Path | None = None
) -> None:
    """Print what differs, or write it as one page.

    Args:
        b: empty compares the first run of ``a`` with its last.
        html: where to write the page; the answer is printed all the same.
    """
    into = links(source)
    try:
        with progress.shown(source):
            found = pairs.compare(*pairs.choose(source, a, b, routes(), output.say))
    finally:
        say_notes(source)
    if as_json:
        print(json.dumps(pair_json.as_object(found, into)))
    else:
        pair.print_pair(terminal.console(), found, into)
    if html is not None:
        from gentrace.report import pair_page
        from gentrace.report.asked import asked

        question = asked(output.arguments(), source.description)
        write_page(html, pair_page.page(found, into, question))


def write_page(path: Path, page: str) -> None:
    """Write a page; comes last, so that a path that cannot be written costs no answer.

    Raises:
        UsageError: it cannot be written there.
    """
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as exc:
        raise UsageError(
            f"--html {path}: cannot be written: {exc.strerror}. Name a file in a folder that is "
            "there"
        ) from None
