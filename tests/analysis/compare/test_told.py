"""A failure in one line: what is another in each run does not make another failure of it."""

from __future__ import annotations

import pytest

from gentrace.analysis.compare.told import Told, worded, wording


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("job 1795846882003 was not found", "job # was not found"),
        ("no video 3f2b9c1e-77aa-4b1c-9d7e-0123456789ab", "no video #"),
        ("the key deadbeefcafe is dead", "the key # is dead"),
        ("asked for <prompt:31:0a1b2c3d>", "asked for <prompt>"),
        ("Pixverse error 500063: refused", "Pixverse error # refused"),
        ("Missing parameter: image_url", "Missing parameter: image_url"),
        ("so " * 60, " ".join(["so"] * 60)[:80].rstrip() + "…"),
        ("", None),
    ],
)
def test_ids_numbers_and_hashes_are_left_out(message: str, kept: str | None) -> None:
    assert wording(message) == kept


def test_a_line_says_what_is_known() -> None:
    told = Told("odd", "host.ProviderError", "submitted", "502", "json.JSONDecodeError", "no JSON")
    assert told.line(short=True) == (
        "odd ProviderError HTTP 502 from JSONDecodeError 'no JSON' at submitted"
    )
    assert told.line().startswith("odd host.ProviderError HTTP 502")
    assert Told(None, "failed", None).line() == "failed"


def test_words_that_are_of_each_run_are_no_kinds() -> None:
    few = [Told(None, "E", None, words=f"went {way}") for way in ("up", "down")]
    assert {each.words for each in worded(few)} == {"went up", "went down"}
    many = [Told(None, "E", None, words=f"said {letter * 3}") for letter in "abcdefgh"]
    assert {each.words for each in worded(many)} == {None}
