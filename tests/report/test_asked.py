"""What a page says of the question that it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentrace.report.asked import asked
from tests.cli.conftest import Gentrace, ask, gentrace
from tests.core import traces
from tests.core.traces import START
from tests.report.test_views import utc
from tests.support.html_page import Page

_ = ask, gentrace, utc  # the fixtures


@pytest.mark.usefixtures("utc")
def test_no_secret_is_in_it() -> None:
    told = asked(
        ["slow", "--source", "https://u:pw@j/base", "--header", "Authorization=Bearer x",
         "--header=X-Key=y", "--source=http://u:pw@j", "--where", "model=a b"],
        "Jaeger https://j/base", START,
    )  # fmt: skip
    assert told.command == (
        "gentrace slow --source https://j/base --header 'Authorization=…' '--header=X-Key=…' "
        "--source=http://j --where 'model=a b'"
    )
    assert (told.source, told.at) == ("Jaeger https://j/base", "2026-06-21 00:00:00 UTC")


@pytest.mark.parametrize(
    "command",
    [["compare", "28", "29"], ["failing", "--since", "2026-01-01"],
     ["compare", "--where", "outcome=failed", "--vs", "outcome=completed"]],
)  # fmt: skip
def test_a_page_says_what_was_asked_of_what_and_when(
    gentrace: Gentrace, tmp_path: Path, command: list[str]
) -> None:
    spool = tmp_path / "spool"
    traces.write(spool / "spans-a.jsonl", traces.completed(), traces.failed())
    assert gentrace(*command, "--html", str(tmp_path / "page.html"))[0] == 0
    text = Page((tmp_path / "page.html").read_text(encoding="utf-8")).text
    assert f"gentrace {' '.join(command)} --html" in text
    assert f"of --source {spool}, 20" in text
