"""What lies in a folder of spans under such a name and is no file: passed over, and said."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gentrace.core.errors import SourceError
from gentrace.sources import processes
from gentrace.sources.files import look, opened
from gentrace.sources.index.index import RunIndex
from gentrace.sources.otlp_files import OtlpFiles
from tests.cli.conftest import Gentrace
from tests.cli.test_bad_input import COMMANDS, usual
from tests.core import traces


def a_socket(path: Path) -> None:
    """Bound under a short name: the kernel takes about a hundred bytes."""
    with socket.socket(socket.AF_UNIX) as made:
        short = Path(os.path.relpath(path))
        made.bind(str(short if len(str(short)) < len(str(path)) else path))


MADE: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a socket": a_socket,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link in a circle": lambda path: path.symlink_to(path),
    "a link to nothing": lambda path: path.symlink_to(path.parent / "gone"),
}


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good file, and one of each kind that is none."""
    folder = tmp_path / "spool"
    traces.write(folder / "spans-a.jsonl", *usual())
    monkeypatch.chdir(folder)
    for number, make in enumerate(MADE.values()):
        make(folder / f"odd-{number}.jsonl")
    return folder


def said() -> list[str]:
    return [f"odd-{number}.jsonl is {kind}, passed over" for number, kind in enumerate(MADE)]


@pytest.mark.timeout(60)
def test_the_rest_is_read_and_each_is_said(spool: Path) -> None:
    source = OtlpFiles(spool)
    assert len(source.traces().traces) == len(usual())
    assert [note.removeprefix(f"{spool}/") for note in source.notes] == said()
    assert source.files() == [spool / "spans-a.jsonl"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers(
    gentrace: Gentrace, spool: Path, tmp_path: Path, command: str
) -> None:
    code, output, beside = gentrace(*COMMANDS[command])
    assert code == 0
    told = " ".join((output + beside).split())
    for text in said():
        assert told.replace(" ", "").count(text.replace(" ", "")) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", MADE)
def test_one_that_is_named_itself_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "odd.jsonl"
    MADE[kind](path)
    source = OtlpFiles(path)
    if kind == "a folder":
        assert source.traces().traces == []
    else:
        with pytest.raises(SourceError, match="no such file" if "nothing" in kind else "."):
            source.traces()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", ["list", "show", "slow"])
def test_a_source_in_a_circle_is_a_fault_and_no_traceback(
    gentrace: Gentrace, tmp_path: Path, command: str
) -> None:
    (tmp_path / "spool").symlink_to(tmp_path / "spool")
    code, output, beside = gentrace(*COMMANDS[command])
    assert (code, output) == (3, "")
    assert "cannot be read: it is a link in a circle" in beside


@pytest.mark.timeout(60)
def test_a_folder_of_nothing_else_says_what_lies_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jsonl")
    with pytest.raises(SourceError, match=r"is no spool.*x\.jsonl is a named pipe, passed over"):
        OtlpFiles(tmp_path).traces()


@pytest.mark.timeout(60)
def test_the_processes_of_a_spool_are_read_past_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "processes-x.jsonl")
    (tmp_path / "processes-y.jsonl").symlink_to(tmp_path / "processes-y.jsonl")
    record = '{"gentraceProcess": {"instance": "i", "role": "api", "pid": 1}}\n'
    (tmp_path / "processes-z.jsonl").write_text(record)
    notes: list[str] = []
    (found,) = processes.read(tmp_path, notes)
    assert found.text("instance") == "i"
    assert [note.rpartition("/")[2] for note in notes] == [
        "processes-x.jsonl is a named pipe, passed over",
        "processes-y.jsonl is a link in a circle, passed over",
    ]


@pytest.mark.timeout(60)
def test_what_became_a_pipe_since_it_was_looked_at_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jsonl")
    with pytest.raises(OSError, match="it is a named pipe"):
        opened(tmp_path / "x.jsonl")
    assert look(tmp_path / "nothing") is None


def gone(source: OtlpFiles, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """It was listed, and is not there when it is opened."""
    files = OtlpFiles._files

    def listed(self: OtlpFiles) -> object:
        found = files(self)
        path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(OtlpFiles, "_files", listed)
    del source


def unreadable(source: OtlpFiles, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Its disk fails when its bytes are asked for."""

    def failing(asked: Path, buffering: int = -1) -> object:
        if asked == path:
            raise OSError(5, "Input/output error")
        return opened(asked, buffering)

    for module in ("otlp_files", "index.take", "index.known"):
        monkeypatch.setattr(f"gentrace.sources.{module}.opened", failing)
    del source


@pytest.mark.parametrize("fault", [gone, unreadable])
def test_a_file_that_fails_while_it_is_read_costs_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., None]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "spool"
    traces.write(folder / "spans-a.jsonl", *usual())
    bad = traces.write(folder / "spans-b.jsonl", traces.completed("other", "99"))
    source = OtlpFiles(folder)
    fault(source, monkeypatch, bad)
    assert len(source.traces().traces) == len(usual())
    with RunIndex(source) as index:
        assert len(index.columns().start_ns) == 20
        left_out = f"{bad} cannot be read, left out"
        assert (left_out in index.notes) == (fault is unreadable)
