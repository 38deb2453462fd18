"""Whatever is wrong with what is read or asked: one clear word, and the rest is answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gentrace.core import names
from tests.cli.conftest import Gentrace
from tests.core import traces
from tests.core.traces import MINUTE_NS, MS, START, Tracer

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "list": ["list"],
    "show": ["show", "28"],
    "compare": ["compare", "28", "29"],
    "slow": ["slow"],
    "failing": ["failing"],
    "groups": ["compare", "--where", "account=1", "--vs", "account=2"],
}
ALL, ONE = tuple(COMMANDS), ("show", "compare")
GROUPS = ("slow", "failing", "groups")
HOSTILE = "\x1b[31m\x1b]0;x\x07\x9b1m\r\n\u202e\u2066<script>alert(1)</script>\"'&"


def usual() -> list[Tracer]:
    """The runs of every question: two to be shown and compared, some more to be counted."""
    made = [traces.completed(), traces.failed(), traces.unfinished()]
    return [*made, *(a_run(number) for number in range(20))]


def a_run(number: int, **attributes: Any) -> Tracer:
    """A creation and a run span; every fifth failed."""
    tracer = Tracer(f"run-{number}", f"r{number}", START + number * MINUTE_NS)
    kind: dict[str, Any] = {"generation__operation": "x", "generation__model": "v5"}
    tracer.span(names.CREATE_GENERATION, 0, 10, service="api", **kind)
    failed = number % 5 == 0
    told: dict[str, Any] = {
        "generation__outcome": "failed" if failed else "completed",
        "generation__account__id": str(number % 2 + 1),
        "generation__time__api_s": 1.0 + number / 100,
        **kind,
        **attributes,
    }
    tracer.span(names.RUN, 0, 1_000 + number * 10, error="E" if failed else "", **told)
    return tracer


def text_of(made: Iterable[Tracer]) -> str:
    return "".join(traces.line(span) for tracer in made for span in tracer.spans)


def changed(tracer: Tracer, change: Callable[[Any], Any]) -> Tracer:
    tracer.spans = [change(span) for span in tracer.spans]
    return tracer


def skewed() -> str:
    """The worker's clock is five seconds behind the API's."""

    def behind(span: Any) -> Any:
        if not span.service.endswith("worker"):
            return span
        return replace(span, start_ns=span.start_ns - 5_000 * MS, end_ns=span.end_ns - 5_000 * MS)

    return text_of([changed(traces.completed(), behind), *usual()[1:]])


def odd(value: Any) -> str:
    """Attributes that are counted with and added up are something else."""
    told = (names.TIMES["queue"], names.LATE_EVENTS, names.GENERATION_RUN, names.TRIES)
    more = {name.replace(".", "__"): value for name in told}
    return text_of([*usual()[:3], *(a_run(number, **more) for number in range(20))])


def deep() -> str:
    """More than a thousand spans, each below the one before, every third of them open."""
    tracer = traces.completed()
    parent = tracer.spans[-1]
    for number in range(1_200):
        parent = tracer.span("step", number, -1 if number % 3 else 9_000, parent)
    return text_of([tracer, *usual()[1:]])


USUAL = text_of(usual())
CASES: dict[str, tuple[Callable[[], str | bytes], Mapping[str, str]]] = {
    "a damaged line": (lambda: "damaged\n" + USUAL, dict.fromkeys(ALL, "1 damaged line in")),
    "NUL bytes": (lambda: "\0\0\0\n" + USUAL, dict.fromkeys(ALL, "1 damaged line in")),
    "no UTF-8": (
        lambda: USUAL.encode().replace(b'"v5"', b'"v\xff5"'),
        dict.fromkeys(("list", *ONE), "bytes that are no UTF-8"),
    ),
    "half a character": (lambda: USUAL.replace('"v5"', '"v\\ud8005"'), {}),
    "out of order": (lambda: "".join(reversed(USUAL.splitlines(keepends=True))), {}),
    "twice": (lambda: USUAL * 2, dict.fromkeys(ALL, "came twice; of each the one that ended last")),
    "clocks": (skewed, dict.fromkeys(ONE, "before the parent of another process")),
    "no run span": (lambda: USUAL, dict.fromkeys(ONE, "no run span is there")),
    "not a number": (lambda: odd(float("nan")), {}),
    "below nothing": (lambda: odd(-5.0), {}),
    "endless": (lambda: odd(1e300), {}),
    "a text": (lambda: odd("soon"), {}),
    "a list": (lambda: odd([1, 2]), {}),
    "deep": (deep, {}),
    "an unfinished line": (lambda: USUAL + '{"resourceSpans": [', {}),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_and_the_rest_answered(
    gentrace: Gentrace, tmp_path: Path, case: str, command: str
) -> None:
    make, words = CASES[case]
    given = make()
    (tmp_path / "spool").mkdir()
    content = given if isinstance(given, bytes) else given.encode()
    (tmp_path / "spool" / "spans-a.jsonl").write_bytes(content)
    code, output, beside = gentrace(*COMMANDS[command], "--json")
    assert code == 0, beside
    answer = json.loads(output, parse_constant=pytest.fail)
    said = beside + json.dumps(answer.get("notes", [run.get("notes") for run in _runs(answer)]))
    assert words.get(command, "") in said
    if command == "list":
        assert len(answer["generations"]) == 23
    if command in GROUPS:
        assert sum(group["n"] for group in answer["groups"].values()) >= 20
    code, output, _ = gentrace(*COMMANDS[command])
    assert code == 0
    assert output


def _runs(answer: Any) -> list[Any]:
    return answer.get("runs", [])


@pytest.mark.parametrize("command", ["list", "groups"])
def test_the_order_of_lines_changes_nothing(
    gentrace: Gentrace, tmp_path: Path, command: str
) -> None:
    file = traces.write(tmp_path / "spool" / "spans-a.jsonl", *usual())
    before = gentrace(*COMMANDS[command], "--json")
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    assert gentrace(*COMMANDS[command], "--json") == before


NOTHING = "nothing has been traced yet"
OTHER = "is it another kind of file?"
PLACES: dict[str, tuple[Mapping[str, str], int, int, str]] = {
    "an empty file": ({"spans-a.jsonl": ""}, 0, 3, NOTHING),
    "only processes": ({"processes-a.jsonl": "{}\n"}, 0, 3, NOTHING),
    "no spool": ({"notes.txt": "x\n"}, 3, 3, "is no spool"),
    "another file": ({"package.json": '{\n "a": [1]\n}\n'}, 0, 0, OTHER),
    "one line": ({"a.json": "not JSON"}, 0, 0, OTHER),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", PLACES)
def test_a_place_without_spans(
    gentrace: Gentrace, tmp_path: Path, place: str, command: str
) -> None:
    files, of_list, of_groups, said = PLACES[place]
    (tmp_path / "spool").mkdir()
    for name, text in files.items():
        (tmp_path / "spool" / name).write_text(text)
    code, output, beside = gentrace(*COMMANDS[command], "--json")
    of_one = 4 if of_list == 0 else of_list
    wanted = {"list": of_list, "show": of_one, "compare": of_one}.get(command, of_groups)
    assert code == wanted, beside
    assert bool(output) == (code == 0)
    if not (place in ("another file", "one line") and command in GROUPS):
        assert said in beside


USE: list[tuple[list[str], int, str]] = [
    (["compare", "28", "77"], 4, "no generation '77'"),
    (["compare", "77", "28"], 4, "no generation '77'"),
    (["compare", "29"], 2, "one run only"),
    (["compare", "28", "28"], 0, "A and B are the same run"),
    (["slow", "--where", "x"], 2, "NAME=VALUE"),
    (["slow", "--where", "acount=1"], 0, "no run has an attribute acount; was account meant?"),
    (["list", "--where", "modell=v5"], 0, "no run has an attribute modell; was model meant?"),
    (["failing", "--where", "account=77"], 0, "no run has account=77"),
    (["failing", "--where", "generation.id=28"], 0, "makes no group"),
    (["failing", "--new-since", "nope"], 0, "no run has generation.code.version=nope"),
    (["slow", "--since", "2026-06-22", "--until", "2026-06-21"], 2, "is after until 2026-06-21"),
    (["compare", "--where", "since=2h", "--where", "until=3h"], 2, "since 2h is after until 3h"),
    (["slow", "--until", "soon"], 2, "--until 'soon'"),
    (["slow", "--since", "2100-01-01"], 0, "no run started in that time"),
    (["failing", "--since", "2100-01-01"], 0, "no run started in that time"),
    (["compare", "--where", "account=1", "--until", "1999-01-01"], 0, "no run started in"),
    (["compare", "--where", "account=1", "--vs", "account=1"], 2, "both sides are the same"),
    (["compare", "--where", "account=1", "--vs", "generation.model=v5"], 0, "are in both groups"),
    (["compare", "--where", "account=99"], 0, "account=99: 0 runs, 8 are needed"),
    (["compare", "--where", "account=1", "--where", "outcome=failed"], 0, "runs, 8 are needed"),
    (["show", "a\x1b[31mb"], 4, "no generation 'a\\x1b[31mb'"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), USE, ids=lambda part: str(part)[:50])
def test_wrong_or_empty_questions(
    gentrace: Gentrace, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    traces.write(tmp_path / "spool" / "spans-a.jsonl", *usual())
    got, output, beside = gentrace(*arguments)
    assert got == code, beside
    assert said in " ".join((output + beside).split())
    got, output, _ = gentrace(*arguments, "--json")
    assert got == code
    assert bool(output) == (code == 0)
    assert not output or json.loads(output)


def hostile() -> list[Tracer]:
    """Texts that a terminal or a browser would obey, everywhere where a host may write."""

    def change(span: Any) -> Any:
        more = dict.fromkeys((names.MODEL, names.ACCOUNT_ID, "x" + HOSTILE), HOSTILE)
        name = (
            span.name if span.name in (names.RUN, names.CREATE_GENERATION) else span.name + HOSTILE
        )
        return replace(
            span, name=name, service=span.service + HOSTILE, status="ERROR", status_message=HOSTILE,
            attributes={**span.attributes, **more, "long": "y" * 5_000, names.ERROR_CODE: HOSTILE},
        )  # fmt: skip

    return [changed(tracer, change) for tracer in usual()]


@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_texts_are_shown_and_not_obeyed(
    gentrace: Gentrace, tmp_path: Path, command: str
) -> None:
    traces.write(tmp_path / "spool" / "spans-a.jsonl", *hostile())
    more = ["--where", f"account={HOSTILE}"] if command in GROUPS else []
    page = tmp_path / "page.html"
    more += ["--html", str(page)] if command not in ("list", "show") else []
    more += ["--all"] if command == "show" else []
    code, output, beside = gentrace(*COMMANDS[command], *more)
    assert code == 0
    obeyed = {*map(chr, range(32)), *map(chr, range(127, 160)), "\u202e", "\u2066"} - {"\n"}
    assert not obeyed & {*output, *beside}
    if page.exists():
        html = page.read_text(encoding="utf-8")
        assert "<script>alert" not in html
        assert not obeyed & {*html} - {"\t"}


@pytest.mark.parametrize("command", ["compare", "slow", "groups"])
def test_a_page_that_cannot_be_written_costs_no_answer(
    gentrace: Gentrace, tmp_path: Path, command: str
) -> None:
    traces.write(tmp_path / "spool" / "spans-a.jsonl", *usual())
    whole = gentrace(*COMMANDS[command], "--json")
    code, output, beside = gentrace(*COMMANDS[command], "--json", "--html", "no/such/page.html")
    assert (code, output) == (2, whole[1])
    assert "--html no/such/page.html: cannot be written: No such file or directory" in beside


def test_a_file_that_may_not_be_read_is_left_out(
    gentrace: Gentrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces.write(tmp_path / "spool" / "spans-a.jsonl", *usual())
    closed = traces.write(tmp_path / "spool" / "spans-b.jsonl", traces.refused())
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
    code, output, _ = gentrace("slow", "--json")
    assert code == 0
    assert f"{closed} cannot be read, left out" in json.loads(output)["notes"]


def test_an_index_that_cannot_be_kept(
    gentrace: Gentrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces.write(tmp_path / "spool" / "spans-a.jsonl", *usual())
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nothing")
    assert gentrace("slow")[0] == 0, "a folder of its own serves"


OUTPUTS = [
    ("gentrace {} | head -n 1", 0, ""),
    ("gentrace {} >&-", 0, ""),
    ("gentrace {} >/dev/full", 2, "the output cannot be written: No space left on device"),
    ("PYTHONIOENCODING=ascii gentrace {} >/dev/null", 0, ""),
]


@pytest.mark.parametrize(("line", "code", "said"), OUTPUTS)
def test_where_the_output_goes(tmp_path: Path, line: str, code: int, said: str) -> None:
    made = [*usual(), *(a_run(number + 50, model="ä\u2713") for number in range(600))]
    traces.write(tmp_path / "spans-a.jsonl", *made)
    line = line.replace("gentrace", f"{sys.executable} -c 'from gentrace.cli import main; main()'")
    for question in ("list --json --limit 0", "slow"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line.format(question)],
            env={**os.environ, "GENTRACE_SOURCE": str(tmp_path), "PYTHONPATH": str(ROOT),
                 "XDG_CACHE_HOME": str(tmp_path / "cache")},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") <= 1
