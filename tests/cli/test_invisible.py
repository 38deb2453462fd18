"""What no reader sees: a sign where people read, exact for programs, never a traceback."""

from __future__ import annotations

import json
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from gentrace.core import names
from gentrace.core.spans import Event
from gentrace.report.terminal import wrapped
from gentrace.report.visible import SIGN, visible
from tests.cli.conftest import Gentrace
from tests.cli.test_bad_input import COMMANDS, changed, usual
from tests.core import traces
from tests.core.traces import Tracer

WORDS = {
    "NUL": "\x00", "bells": "\x07\x08", "file separators": "\x1c\x1f", "next line": "\x85",
    "zero width space": "\u200b", "zero width joiner": "\u200d", "byte order mark": "\ufeff",
    "left to right": "\u200e", "arabic letter": "\u061c", "override": "\u202e", "isolate": "\u2066",
    "line separator": "\u2028", "paragraph separator": "\u2029", "soft hyphen": "\xad",
    "tags": "\U000e0041\U000e007f", "variation selector": "\ufe0f",
    "ideographic variation": "\U000e0100", "mongolian variation": "\u180b",
    "grapheme joiner": "\u034f", "hangul filler": "\u3164", "braille blank": "\u2800",
    "surrogate": "\ud800", "private": "\ue000", "unassigned": "\u0378", "mark alone": "\u0301",
    "interlinear": "\ufff9", "deprecated": "\u206a",
}  # fmt: skip


def planted(word: str) -> list[Tracer]:
    """That word alone wherever a host may write, the generation's id among it."""
    ids = {"28": word, "29": "a" + word}

    def change(span: Any) -> Any:
        more = dict.fromkeys((names.MODEL, names.ACCOUNT_ID, names.ERROR_CODE, "x" + word), word)
        id_ = ids.get(span.attributes.get(names.GENERATION_ID), "r" + word)
        own = span.name in names.SPANS or span.kind != "INTERNAL"
        return replace(
            span, name=span.name if own else word, service=word, status="ERROR",
            status_message=word, events=(*span.events, Event(word, span.start_ns, {word: word})),
            attributes={**span.attributes, **more, names.GENERATION_ID: id_},
        )  # fmt: skip

    return [changed(tracer, change) for tracer in usual()]


def trouble(text: str) -> set[str]:
    """The characters in it that nobody sees."""
    return {char for char in text if visible(char) == SIGN != char}


FOR_ALL = ("NUL", "zero width space", "variation selector", "surrogate", "line separator")
ASKED = [
    *((name, "list") for name in WORDS),
    *((name, command) for name in FOR_ALL for command in COMMANDS if command != "list"),
]


@pytest.mark.parametrize(("name", "command"), ASKED)
def test_a_word_of_nothing_to_be_seen(
    gentrace: Gentrace, tmp_path: Path, name: str, command: str
) -> None:
    word = WORDS[name]
    traces.write(tmp_path / "spool" / "spans-a.jsonl", *planted(word))
    word = word.encode(errors="replace").decode()  # there are no halves of characters in UTF-8
    asked = [word if one == "28" else "a" + word if one == "29" else one
             for one in COMMANDS[command]]  # fmt: skip
    page = tmp_path / "page.html"
    more = ["--html", str(page)] if command not in ("list", "show") else []
    more += ["--all"] if command == "show" else []
    code, output, beside = gentrace(*asked, *more)
    assert code == 0, beside
    assert not trouble(output + beside)
    if page.exists():
        assert not trouble(page.read_text(encoding="utf-8"))
    code, output, _ = gentrace(*asked, "--json")
    assert code == 0
    if command in ("list", "show"):
        assert word in _texts(json.loads(output))


def _texts(answer: Any) -> set[str]:
    if isinstance(answer, dict):
        return set().union(*(_texts(value) for value in answer.values()), answer)
    if isinstance(answer, list):
        return set().union(*(_texts(value) for value in answer))
    return {answer} if isinstance(answer, str) else set()


def test_every_character_that_is_not_seen_has_its_sign() -> None:
    unseen = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        shown = visible(char)
        if char in "\n\t":
            assert shown == char
        elif unicodedata.category(char) in unseen:
            assert shown == SIGN, hex(code)
        assert visible(shown) == shown
    for seen in ("ä", "日", "🦊", "é", "%", "—"):
        assert visible(seen) == seen


@pytest.mark.parametrize("word", WORDS.values())
@pytest.mark.parametrize("width", [1, 10, 80])
def test_lines_are_broken_by_what_is_seen(word: str, width: int) -> None:
    lines = wrapped(f"{word} a{word}b {word * 200}", width)
    assert max(map(cell_len, lines)) <= max(10, width)
    assert sum(line.count("a") + line.count("b") for line in lines) == 2


def test_a_text_that_is_seen_is_left_alone() -> None:
    assert visible("plain ascii, 50 %") == "plain ascii, 50 %"
    assert visible("two\nlines\tand a tab") == "two\nlines\tand a tab"
    assert visible("\u202eabc\r") == f"{SIGN}abc{SIGN}"
