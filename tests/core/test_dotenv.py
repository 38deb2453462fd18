"""``.env`` files: which one is read, what it says, and whether it asks for gentrace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dotenv as python_dotenv
import pytest

from gentrace.core import dotenv

TEXT = "\n".join(
    [
        "# A=1", "A = plain  # comment", 'B="two words # kept"', "C='single \\n kept'",
        'D="line\\nbreak \\"q\\""', "export E=", "F=a#b", "no assignment", "G=#", "1H=x",
        "I=a=b", "A=last",
    ]
)  # fmt: skip


def test_what_a_file_says() -> None:
    assert dotenv.parse(TEXT) == {
        "A": "last", "B": "two words # kept", "C": "single \\n kept", "D": 'line\nbreak "q"',
        "E": "", "F": "a#b", "G": "", "I": "a=b",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["X=1", "X = '1'", 'export X="1"', "X=1 # on", "X=", "X=a b"])
def test_it_reads_as_python_dotenv_does(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    path.write_text(line + "\n")
    assert dotenv.read(str(path)) == python_dotenv.dotenv_values(path)


def test_the_nearest_file(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    assert dotenv.nearest(str(folder)) is None
    (tmp_path / ".env").touch()
    assert dotenv.nearest(str(folder)) == str(tmp_path / ".env")
    (folder / ".env").mkdir()  # an environment, as some name it
    assert dotenv.nearest(str(folder)) == str(tmp_path / ".env")
    (folder.parent / ".env").touch()
    assert dotenv.nearest(str(folder)) == str(folder.parent / ".env")
    assert dotenv.read(str(tmp_path / "missing")) == {}


@pytest.mark.parametrize(
    ("text", "environ", "asks"),
    [
        ("GENTRACE=1", {}, True),
        ("export GENTRACE='yes' # please", {}, True),
        ("GENTRACE=0", {}, False),
        ("# GENTRACE=1", {}, False),
        ("GENTRACE_SQL=off", {}, False),
        ("GENTRACE=1", {"GENTRACE": "1"}, False),
        ("GENTRACE=1", {"GENTRACE": "0"}, False),
        ("GENTRACE=1", {"GENTRACE": ""}, False),
    ],
)
def test_whether_it_asks(tmp_path: Path, text: str, environ: Mapping[str, str], asks: bool) -> None:
    (tmp_path / ".env").write_text(text)
    path, found = dotenv.asking(environ, [str(tmp_path)])
    assert (path is not None) is asks
    assert (found is not None) is asks


def test_only_the_nearest_file_of_each_folder_counts(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / ".env").write_text("GENTRACE=1")
    (inner / ".env").write_text("OTHER=1")
    assert dotenv.asking({}, [str(inner)]) == (None, None)
    path, _ = dotenv.asking({}, [str(inner), str(tmp_path)])
    assert path == str(tmp_path / ".env")
