"""The commands as the tests of one process ask them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gentrace.cli.app import run

Gentrace = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gentrace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Gentrace:
    """Runs a command on the folder of the test; exit code, output, what was said beside it."""
    for name in [name for name in os.environ if name.startswith(("GENTRACE", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TZ", "UTC")

    def asked(*arguments: str) -> tuple[int, str, str]:
        code = run([*arguments, "--source", str(tmp_path / "spool")])
        written = capsys.readouterr()
        return code, written.out, written.err

    return asked
