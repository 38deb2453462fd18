"""Odd input to the reading commands for as long as one likes; tests/cli/test_odd_input.py is the
short of it.

    python -m bench.fuzz [--minutes 60] [--only files|profiles|answers] [--seed 0]

Each round draws new input. What is wrong is printed once, with the lines of the input that are odd;
the exit code is 1 if anything was.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping

from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from bench.measuring import machine
from tests.support import odd_inputs, odd_questions
from tests.support.answering import Answering, answering

_ROUND = 100
_LINES, _SHOWN = 10, 1_200
_KINDS = ("files", "profiles", "answers")
_PLACE = re.compile(
    r'File "[^"]*?/(gentrace/(?:cli|report|analysis|sources|core)/[^"]+)", line (\d+)'
)
_ASKED = sorted(odd_questions.QUESTIONS)


def _strategies(
    server: Answering,
) -> dict[str, tuple[Callable[..., None], st.SearchStrategy[object]]]:
    def answers(bodies: dict[str, str], question: str, as_json: bool) -> None:
        asked = "list" if question == "doctor" else question
        odd_questions.of_answers(bodies, asked, as_json, server)

    return {
        "files": (odd_questions.of_files, odd_inputs.spools()),
        "profiles": (odd_questions.of_a_profile, odd_inputs.profiles()),
        "answers": (answers, odd_inputs.answers()),
    }


def main() -> int:
    """Draws, asks, and prints what was wrong."""
    parser = argparse.ArgumentParser(
        prog="bench.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--only", choices=_KINDS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(machine(), flush=True)
    end, numbers = time.monotonic() + 60 * options.minutes, random.Random(options.seed)
    seen: set[str] = set()
    chosen = [kind for kind in _KINDS if options.only in (None, kind)]
    asked: dict[str, int] = dict.fromkeys(chosen, 0)
    with answering({}) as server:
        kinds = _strategies(server)
        while time.monotonic() < end:
            for kind in asked:
                _round(kind, *kinds[kind], numbers.getrandbits(32), asked, seen)
    print(", ".join(f"{count} of {kind}" for kind, count in asked.items()), "asked;",
          f"{len(seen)} faults", flush=True)  # fmt: skip
    return 1 if seen else 0


def _round(
    kind: str,
    put: Callable[..., None],
    drawn: st.SearchStrategy[object],
    number: int,
    asked: dict[str, int],
    seen: set[str],
) -> None:
    """A round of one kind of input; what it finds is told unless its place is known already."""

    @seed(number)
    @settings(
        odd_questions.UNHURRIED, max_examples=_ROUND, database=None, phases=[Phase.generate],
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(drawn, st.sampled_from(_ASKED), st.booleans())
    def ask(given: object, question: str, as_json: bool) -> None:
        asked[kind] += 1
        try:
            put(given, question, as_json)
        except Exception:  # whatever it is: it is what is sought
            text = traceback.format_exc()
            places = _PLACE.findall(text)
            place = ":".join(places[-1]) if places else text[-200:]
            if place not in seen:
                seen.add(place)
                odd = "\n".join(itertools.islice(_odd(given), _LINES))
                print(f"\n=== {kind}, {question}, {place}\n{text[-4000:]}\n{odd}", flush=True)

    ask()


def _odd(given: object) -> Iterator[str]:
    """Of what was given, the lines that are not as they should be."""
    usual = {json.dumps(line) for line in odd_inputs.requests()} | {*odd_inputs.shipped()}
    parts: Mapping[str, object] = given if isinstance(given, dict) else {"": given}
    for name, part in parts.items():
        text = part.decode("utf-8", "backslashreplace") if isinstance(part, bytes) else str(part)
        for line in text.splitlines():
            if line not in usual and f"{line}\n" not in usual:
                yield f"{name}: {line[:_SHOWN]}"


if __name__ == "__main__":
    sys.exit(main())
