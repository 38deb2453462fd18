"""Puts odd input to the commands, and says what an answer has to be like whatever was read.

No traceback, an exit code of the documented ones, JSON that is JSON, one message where there is no
answer, and nothing that a terminal or a browser would obey.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings

from gentrace.cli.app import run
from gentrace.sources.jaeger.client import Client
from tests.support.answering import Answering, Prepared

CODES = {"doctor": (0, 1, 2, 3)}
_OTHERS = (0, 2, 3, 4)
QUESTIONS: Mapping[str, Sequence[str]] = {
    "list": ["list", "--limit", "0"],
    "list some": ["list", "--outcome", "failed", "--where", "account=1", "--since", "2026-01-01"],
    "show": ["show", "28"],
    "show all": ["show", "28", "--all"],
    "newest": ["show"],
    "compare": ["compare", "28", "29"],
    "slow": ["slow"],
    "failing": ["failing"],
    "groups": ["compare", "--where", "account=1", "--vs", "account=2"],
    "doctor": ["doctor"],
}
UNHURRIED = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
PAGES = ("compare", "slow", "failing", "groups")
_MOST_SAID = 8
_OBEYED = frozenset({*map(chr, range(32)), *map(chr, range(127, 160)), *"\u202e\u2066\u2028\ud800"})
_KEPT = re.compile(r"Its traceback is in (\S+); ")


@dataclass(frozen=True)
class Answer:
    """What a command gave."""

    code: int
    out: str
    beside: str


class Wrong(AssertionError):
    """An answer that is none of those that may be given."""


@contextmanager
def apart() -> Generator[Path]:
    """A folder for one question, and an environment with nothing of gentrace's in it."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("GENTRACE", "OTEL_"))}
    with tempfile.TemporaryDirectory(prefix="gentrace-odd-") as folder:
        kept |= {"XDG_CACHE_HOME": f"{folder}/cache", "TZ": "UTC", "COLUMNS": "120"}
        with mock.patch.dict(os.environ, kept, clear=True):
            yield Path(folder)


def ask(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Answer:
    """Runs a command in this process, with streams like a terminal's; warnings are errors."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with (
        mock.patch.dict(os.environ, environment or {}),
        mock.patch.object(sys, "stdout", streams[0]),
        mock.patch.object(sys, "stderr", streams[1]),
        warnings.catch_warnings(),
        _connections_closed(),
    ):
        warnings.simplefilter("error")
        code = run(arguments)
    out, beside = (_text(stream) for stream in streams)
    return Answer(code, out, beside)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    given = stream.detach()
    assert isinstance(given, io.BytesIO)
    return given.getvalue().decode("utf-8")


@contextmanager
def _connections_closed() -> Generator[None]:
    """A command leaves its connections to the end of its process; here many follow each other."""
    made: list[Client] = []
    begin = Client.__init__

    def remembered(self: Client, *args: Any, **more: Any) -> None:
        begin(self, *args, **more)
        made.append(self)

    with mock.patch.object(Client, "__init__", remembered):
        try:
            yield
        finally:
            for client in made:
                client.close()


def check(arguments: Sequence[str], answer: Answer, page: Path | None = None) -> None:
    """Raises :class:`Wrong`, with all that is known, where an answer may not be as it is."""

    def wrong(what: str) -> Wrong:
        return Wrong(f"{what}: {' '.join(arguments)!r} gave {answer.code}\n{answer.beside[-3000:]}")

    kept = _KEPT.search(answer.beside)
    if kept is not None:
        path = Path(kept[1])
        raise wrong("a fault of its own\n" + path.read_text(encoding="utf-8") * path.exists())
    if answer.code not in CODES.get(arguments[0], _OTHERS):
        raise wrong("no documented exit code")
    if "Traceback" in answer.beside:
        raise wrong("a traceback")
    lines = answer.beside.splitlines()
    if answer.code > 1 and (answer.out or not lines):
        raise wrong("no answer needs a message, and nothing else")
    if [line for line in lines if not line.startswith("gentrace: ")] or len(lines) > _MOST_SAID:
        raise wrong("a message is one line, after what there is to say of the reading")
    if _OBEYED & {*answer.beside} - {"\n"}:
        raise wrong(f"what a terminal obeys, in the messages: {answer.beside!r}")
    if "--json" in arguments:
        _check_json(answer, wrong)
    elif answer.code in (0, 1) and _OBEYED & {*answer.out} - {"\n"}:
        raise wrong(f"what a terminal obeys: {sorted(_OBEYED & {*answer.out})!r}")
    if page is not None and page.exists():
        html = page.read_text(encoding="utf-8")
        if _OBEYED & {*html} - {"\n", "\t"} or "<script>alert" in html:
            raise wrong("what a browser obeys, in the page")


def _check_json(answer: Answer, wrong: Any) -> None:
    def refuse(constant: str) -> Any:
        raise wrong(f"{constant} is no JSON")

    if answer.code not in (0, 1):
        return
    try:
        found = json.loads(answer.out, parse_constant=refuse)
        answer.out.encode("utf-8")
    except ValueError as exc:
        raise wrong(f"no JSON ({exc}): {answer.out[:300]!r}") from None
    if not isinstance(found, dict):
        raise wrong("no object")


def of_files(files: Mapping[str, bytes], question: str, as_json: bool) -> None:
    """A spool with these files is asked."""
    with apart() as folder:
        (folder / "spool").mkdir()
        for name, content in files.items():
            (folder / "spool" / name).write_bytes(content)
        page = folder / "page.html" if question in PAGES else None
        _put(question, str(folder / "spool"), as_json, page)


def of_a_profile(text: bytes, question: str, as_json: bool) -> None:
    """A spool is asked, or a checkout looked at, by way of that profile."""
    from tests.support import odd_inputs

    with apart() as folder:
        (folder / "odd.toml").write_bytes(text)
        (folder / "spool").mkdir()
        lines = "".join(f"{json.dumps(line)}\n" for line in odd_inputs.requests())
        (folder / "spool" / "spans-a.jsonl").write_text(lines)
        environment = {"GENTRACE_PROFILE": str(folder / "odd.toml")}
        if question != "doctor":
            _put(question, str(folder / "spool"), as_json, None, environment)
            return
        package = folder / "checkout" / "pixsim7" / "backend" / "main"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("from .x import *\ndef f(): ...\nclass C: ...\n")
        arguments = ["doctor", "--host", str(folder / "checkout"), *["--json"] * as_json]
        check(arguments, ask(arguments, environment))


def of_answers(bodies: Mapping[str, str], question: str, as_json: bool, server: Answering) -> None:
    """A Jaeger that answers so is asked."""
    server.answers = {path: Prepared(body) for path, body in bodies.items()}
    with apart() as folder:
        page = folder / "page.html" if question in PAGES else None
        _put(question, server.url, as_json, page)
    assert threading.active_count() < 100


def _put(
    question: str,
    source: str,
    as_json: bool,
    page: Path | None,
    environment: Mapping[str, str] | None = None,
) -> None:
    more = ["--html", str(page)] if page is not None else []
    arguments = [*QUESTIONS[question], "--source", source, *more, *["--json"] * as_json]
    check(arguments, ask(arguments, environment), page)
