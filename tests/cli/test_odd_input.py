"""Whatever is read: an answer or one message, never a traceback.

A minute's worth of what `python -m bench.fuzz` asks for as long as one likes.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import odd_inputs, odd_questions
from tests.support.answering import Answering, answering
from tests.support.odd_questions import QUESTIONS

_ASKED = st.sampled_from(sorted(QUESTIONS))


def _bounded(examples: int) -> settings:
    return settings(odd_questions.UNHURRIED, max_examples=examples, derandomize="CI" in os.environ)


@pytest.fixture(scope="module")
def server() -> Generator[Answering]:
    with answering({}) as made:
        yield made


@_bounded(100)
@given(odd_inputs.spools(), _ASKED, st.booleans())
def test_files_and_records(files: odd_inputs.Lines, question: str, as_json: bool) -> None:
    odd_questions.of_files(files, question, as_json)


@_bounded(40)
@given(
    odd_inputs.profiles(),
    st.sampled_from(["list", "show", "slow", "doctor", "doctor"]),
    st.booleans(),
)
def test_profiles(text: bytes, question: str, as_json: bool) -> None:
    odd_questions.of_a_profile(text, question, as_json)


@_bounded(40)
@given(odd_inputs.answers(), st.sampled_from(sorted({*QUESTIONS} - {"doctor"})), st.booleans())
def test_answers_of_a_jaeger(
    server: Answering, bodies: dict[str, str], question: str, as_json: bool
) -> None:
    odd_questions.of_answers(bodies, question, as_json, server)
