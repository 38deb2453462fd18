"""Each file that is read in the host, with each wrong kind in its place: nothing hangs or fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gentrace.core import dotenv, profile_files, regular_files, switch
from gentrace.core.errors import ProfileError
from gentrace.runtime import git_index, revision
from gentrace.runtime.code_state import CodeState
from gentrace.runtime.export.installation_key import KEY_BYTES, installation_key
from gentrace.runtime.export.spool import Spool
from tests.support import odd_files, programs
from tests.support.small_host import FOLDER

pytestmark = pytest.mark.timeout(60)
every = pytest.mark.parametrize("put", odd_files.KINDS.values(), ids=odd_files.KINDS)
Put = Callable[[Path], None]


@every
def test_a_key_that_is_none(tmp_path: Path, put: Put, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "spool.key"
    put(path)
    before = os.lstat(path)
    first, second = installation_key(tmp_path / "spool"), installation_key(tmp_path / "spool")
    assert len(first) == len(second) == KEY_BYTES
    assert first != second
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"gentrace: {path}, where the key lies, ")
    assert "is not taken" in said
    assert os.lstat(path)[:3] == before[:3]  # it is left alone


def test_a_key_that_another_may_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = b"k" * KEY_BYTES

    def group(path: Path) -> None:
        path.write_bytes(known)
        path.chmod(0o640)

    def link(path: Path) -> None:
        own = path.with_name("elsewhere")
        own.write_bytes(known)
        own.chmod(0o600)
        path.symlink_to(own)

    def foreign(path: Path) -> None:
        odd_files.foreign(path, known)

    for name, put in {"foreign": foreign, "group": group, "link": link}.items():
        put(tmp_path / f"{name}.key")
        assert installation_key(tmp_path / name) != known, name
        assert "is not taken" in capsys.readouterr().err, name
    own = tmp_path / "own.key"
    own.write_bytes(known)
    own.chmod(0o600)
    assert installation_key(tmp_path / "own") == known


@every
def test_a_profile(tmp_path: Path, put: Put) -> None:
    path = tmp_path / "mine.toml"
    put(path)
    assert switch.packages(str(path)) == ()
    if path.is_file() and path.stat().st_size < 2:  # a profile of nothing is one
        assert profile_files.locate(str(path))[0] == path.read_text()
        return
    with pytest.raises(ProfileError, match="cannot be read: ") as raised:
        profile_files.locate(str(path))
    assert str(path) in str(raised.value)


@every
def test_a_dotenv(tmp_path: Path, put: Put) -> None:
    put(tmp_path / ".env")
    assert dotenv.read(str(tmp_path / ".env")) == {}
    assert dotenv.asking({}, [str(tmp_path)]) == (None, None)


@every
@pytest.mark.parametrize("name", ["HEAD", "commondir", "packed-refs", "refs/heads/main", "index"])
def test_a_file_of_git(tmp_path: Path, put: Put, name: str) -> None:
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / name).unlink(missing_ok=True)
    put(git / name)
    inside = tmp_path / "main.py"
    inside.touch()
    found = revision.revision(str(inside))
    assert found is None or len(found) < 2
    checkout = revision.checkout(str(inside))
    if name == "index" and checkout is not None:
        with pytest.raises((OSError, ValueError, git_index.struct.error)):
            git_index.changed(checkout, [inside])


@every
@pytest.mark.parametrize("which", ["source", "pyc"])
def test_a_source_or_what_was_compiled_of_it(tmp_path: Path, put: Put, which: str) -> None:
    source, pyc = tmp_path / "work.py", tmp_path / "work.pyc"
    source.write_text("x = 1\n")
    module: Any = ModuleType("odd_host.work")
    module.__file__, module.__spec__ = str(source), SimpleNamespace(cached=str(pyc))
    code = CodeState(("odd_host",), 0)
    sys.modules[module.__name__] = module
    try:
        if which == "pyc":
            put(pyc)
        assert code.look() is False
        if which == "source":
            source.unlink()
            put(source)
            code.look()
            code.look()
    finally:
        del sys.modules[module.__name__]


@every
def test_a_segment_of_the_spool(tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, 1 << 20, 60, "0123456789abcdef")
    path = tmp_path / f"processes-{vars(spool)['_name']}-0000.jsonl"
    put(path)
    try:
        spool.write_process({"pid": 1})
    except OSError:
        return
    finally:
        spool.close()
    assert path.is_file()
    monkeypatch.undo()


@every
def test_reading(tmp_path: Path, put: Put) -> None:
    path = tmp_path / "file"
    put(path)
    if path.is_file() and path.stat().st_size < 2:
        assert regular_files.read(path) == path.read_bytes()
        return
    with pytest.raises(OSError, match=r"."):
        regular_files.read(path)
    if path.is_file():
        assert regular_files.head(path, 10) == bytes(10)


@pytest.mark.parametrize("name", ["pipe", "device", "loop", "directory"])
def test_a_host_with_it_everywhere(tmp_path: Path, name: str) -> None:
    """The key, `.env` and the profile itself: it runs, and says what it must.

    The small host reads a `.env` itself, and would wait for a pipe without us as well.
    """
    put = odd_files.KINDS[name]
    put(tmp_path / "spool.key")
    put(tmp_path / "odd.toml")
    beside = tmp_path / "beside"
    beside.mkdir()
    put(beside / ".env")
    code = "import pixsim7.backend.main.main; print('the host runs')"
    env = {"PYTHONPATH": str(FOLDER), "GENTRACE_SPOOL": str(tmp_path / "spool")}

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        done = programs.run([sys.executable, "-c", code], tmp_path, {**env, **more})
        assert (done.returncode, done.stdout) == (0, "the host runs\n"), done.stderr
        return done

    bare = programs.run([sys.executable, "-c", "print(1)"], beside)
    assert (bare.stdout, bare.stderr) == ("1\n", "")
    assert "Traceback" not in run(GENTRACE="1").stderr
    said = run(GENTRACE="1", GENTRACE_PROFILE=str(tmp_path / "odd.toml")).stderr
    assert "odd.toml" in said
    assert "the host runs without tracing" in said
