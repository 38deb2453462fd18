"""No secret is left of a text, however it is named, shaped and spelt."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentrace.core.scrub import Scrubber
from tests.support.planted_secrets import FORMS, IN_WORDS, KEYS, VALUE

SCRUBBER = Scrubber(b"the installation's key")


def readings(text: str) -> list[str]:
    """The text in every form that a reader may try."""
    found = [text]
    for _ in range(3):
        found += [unquote(found[-1]), unquote_plus(found[-1])]
        try:
            found.append(json.loads(f'"{found[-1]}"', strict=False))
        except ValueError:
            continue
    return found


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_it_is_left(form: str) -> None:
    kept: list[str] = []
    for secret, (text, parts) in IN_WORDS.items():
        left = SCRUBBER.text(FORMS[form](text))
        read = [each.lower() for each in readings(left)]
        if any(part.lower() in each for part in parts for each in read):
            kept.append(f"{secret}: {left}")
        assert SCRUBBER.text(left) == left
        assert not left.startswith("<text:"), secret  # it is known what of it is the secret
    assert kept == []


@pytest.mark.parametrize("around", ["{}", "/media/{}/x.mp4", "v2-{}", "x.Error: {}", "a|{}|b"])
@pytest.mark.parametrize("form", ["as it is", "quoted", "json"])
def test_a_key_shows_by_its_shape_in_an_id(around: str, form: str) -> None:
    kept: list[str] = []
    for key, shape in KEYS.items():
        if around == "v2-{}" and key == "azure storage":
            continue  # its first letters are any, a dash may be one
        value = FORMS[form](around.format(shape))
        for name in ("generation.model", "generation.provider.job_id", "error.type"):
            left = str(SCRUBBER.attribute(name, value))
            if any(shape[-12:] in each for each in readings(left)):
                kept.append(f"{key} in {name}: {left}")
            assert SCRUBBER.attribute(name, left) == left
    assert kept == []


secrets = st.text("abcdefghABCDEFG0123456789!$*,;:./", min_size=6, max_size=30).map(
    lambda text: f"Q7{text}z"
)
words = st.text("abcdefgh ijklm\nnop.,:;'\"()%+\\<>/&=?-_é", max_size=60)


@given(words, st.sampled_from(["token={}", '"db_password": "{}"', "Bearer {}"]), words, st.data())
def test_whatever_stands_around_it(before: str, name: str, after: str, data: Any) -> None:
    secret = data.draw(st.text("abcdefgABCDEF0123456789", min_size=12, max_size=24))
    form = data.draw(st.sampled_from(sorted(FORMS)))
    text = FORMS[form](f"{before} {name.format(secret)} {after}")
    left = SCRUBBER.text(text)
    assert not any(secret in each for each in readings(left))
    assert SCRUBBER.text(left) == left


@given(secrets)
def test_a_named_secret_goes_whole(secret: str) -> None:
    for text in (f"password={secret}", f'{{"password": "{secret}"}}', f"password: {secret}\nb: 1"):
        left = SCRUBBER.text(text)
        assert secret[:-1] not in left
        assert secret[2:].rstrip(".,;:)]}") not in left
        assert SCRUBBER.text(left) == left


@given(st.text(max_size=300) | words)
def test_scrubbing_twice_changes_nothing(text: str) -> None:
    prompt = text[5:40]
    left = SCRUBBER.text(text, [prompt])
    assert SCRUBBER.text(left, [prompt]) == left
    for name in ("generation.model", "url.full", "error.type"):
        once = SCRUBBER.attribute(name, text, [prompt])
        assert SCRUBBER.attribute(name, once, [prompt]) == once


def test_equal_secrets_look_equal_whatever_their_form() -> None:
    plain = SCRUBBER.text("to alice@wonder.example")
    assert SCRUBBER.text("to alice%40wonder.example") == plain
    assert SCRUBBER.text("to alice\\u0040wonder.example") == plain


def test_the_mark_takes_the_smallest_stretch_that_shows_it() -> None:
    left = SCRUBBER.text("GET /users/alice%40wonder.example/films%2F7 failed")
    assert left.startswith("GET /users/<email:20:")
    assert left.endswith(">/films%2F7 failed")


def test_a_mark_is_not_cut_in_two() -> None:
    for length in range(360, 400):
        left = SCRUBBER.text("a " * (length // 2) + " alice@wonder.example " + "b " * 100)
        assert "<" not in left or left.count("<") == left.count(">")
        assert SCRUBBER.text(left) == left


def test_half_a_secret_at_the_cut_does_not_stay() -> None:
    prompt = "a lighthouse below the sea " * 70
    for more in range(1990 - len(prompt) - 40, 2010 - len(prompt)):
        text = f"{prompt}{'x' * more} password={VALUE}"
        assert VALUE[:6] not in SCRUBBER.text(text, [prompt])


HOSTILE = [
    *("a", "-", "token ", "http://", "pk-", "APA", "eyJ", "password=", "'", '"\\', "%25"),
    *("\\u0025", "<", "-----BEGIN ", "a@", "a.b@c.", "?a=", "cookie: ", "://a:", "--", "+ "),
    *("BEGIN RSA PRIVATE KEY", "password 'a", "é", "1234567890:", "key-key_", " \t", "x-amz-"),
    *("token[", "M" * 25 + ".", "://", "Q~", "A", "<prompt:9:abcdef12>", "\ue000", "\x00", "＠"),
    *("\ud800", "\u1100\u1161", "ﬁ", "\u0301", "a lighthouse b", "aaaab", "key\t", "pw "),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_of_it_costs_what_its_beginning_costs(piece: str) -> None:
    """Counted in steps, not in time: at most so many characters are ever looked at."""
    text = piece * (1_000_000 // len(piece))
    prompts = ["a lighthouse by the sea " * 800, "a" * 20_000]
    left = SCRUBBER.text(text, prompts)
    assert len(left) <= 401
    assert left == SCRUBBER.text(text[:2_500], prompts)
    assert SCRUBBER.text(left, prompts) == left
