"""No part of a prompt is left of a text, in whatever spelling."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gentrace.core import names
from gentrace.core.scrub import Scrubber
from gentrace.core.scrub.forms import MARK
from gentrace.core.scrub.prompts import fold
from tests.support.planted_secrets import SPELLINGS

SCRUBBER = Scrubber(b"the installation's key")
PROMPTS = {
    "words": "a marmalade factory below a velvet astronomer",
    "one word": "marmaladefactory",
    "accents": "le café brûlé près de l'océan gelé",
    "quotes": 'she said "a lighthouse, by 3% of the sea" and left',
    "chinese": "雨の中の灯台と猫が静かに海を見つめている",
    "korean": "바닷가 등대에서 고양이가 바다를 바라본다",
    "ligature": "the ﬁsh of the oﬃce, ﬂoating in an ofﬁcial style",
    "lines": "first line here\nsecond\tline there",
    "percent": "a%20tower of 100%25 gold + silver",
}
ATTRIBUTES = [
    *(names.MODEL, names.PROVIDER_JOB_ID, names.ERROR_TYPE, names.MESSAGING_MESSAGE_ID),
    *(names.USER_ID, names.WAIT_REASON, "exception.type", names.OPERATION, names.ERROR_CODE),
]


def letters(text: str) -> str:
    """Its letters and digits alone, as plain as they can be."""
    bare = unicodedata.normalize("NFKD", MARK.sub("\n", text)).casefold()
    return "".join(c for c in bare if c == "\n" or (c.isalnum() and not unicodedata.combining(c)))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_it_is_left_in_no_attribute(prompt: str, spelling: str) -> None:
    whole = PROMPTS[prompt]
    text = SPELLINGS[spelling](whole)
    wanted = letters(whole)
    for value in (text, f"job:{text}:7", f"x.{text}Error", text[: len(text) * 2 // 3]):
        for name in ATTRIBUTES:
            left = str(Scrubber(b"key").attribute(name, value, (whole,)))
            assert "<prompt:" in left
            kept = letters(left)
            assert not [n for n in range(len(wanted) - 8) if wanted[n : n + 9] in kept], left
            assert SCRUBBER.attribute(name, left, (whole,)) == left


@given(st.data(), st.sampled_from(sorted(SPELLINGS)), st.text(max_size=20), st.text(max_size=20))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_nine_characters_of_it(data: Any, spelling: str, before: str, after: str) -> None:
    prompt = data.draw(st.text("abcdefgh ijklmnopéß東京 -,.'", min_size=9, max_size=60))
    start = data.draw(st.integers(0, len(prompt) - 9))
    part = prompt[start : start + data.draw(st.integers(9, 60))]
    left = SCRUBBER.text(f"{before}\n{SPELLINGS[spelling](part)}\n{after}", (prompt,))
    kept = MARK.sub("\n", left)
    assert not [n for n in range(len(part) - 8) if part[n : n + 9] in kept]
    assert SCRUBBER.text(left, (prompt,)) == left


@given(st.text(max_size=60))
def test_places_are_of_the_text(text: str) -> None:
    folded, places = fold(text)
    if places is not None:
        assert len(places) == len(folded) + 1
        assert list(places) == sorted(places)
        assert places[-1] == len(text)


def test_eight_characters_of_it_are_no_part() -> None:
    assert SCRUBBER.attribute(names.MODEL, "lighthou", ("a lighthouse",)) == "lighthou"


@pytest.mark.parametrize("value", ["text_to_video", "completed", "pixverse-v5", "processing"])
def test_a_word_of_the_hosts_that_came_with_another_prompt_stays(value: str) -> None:
    scrubber = Scrubber(b"key")
    prompt = "text to video processing completed pixverse v5"
    assert scrubber.attribute(names.OPERATION, value, ("a lighthouse",)) == value
    assert scrubber.attribute(names.OPERATION, value, (prompt,)) == value
    assert scrubber.attribute(names.MODEL, value, (prompt,)) != value


def test_gentraces_own_words_stay_whatever_the_prompt() -> None:
    prompt = ("completed with skipped_failed and a process_generation",)
    assert SCRUBBER.attribute(names.OUTCOME, "completed", prompt) == "completed"
    assert SCRUBBER.attribute(names.DEDUP_RESULT, "skipped_failed", prompt) == "skipped_failed"
