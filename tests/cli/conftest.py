"""The commands as the tests of one process ask them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gentrace.cli.app import run

Gentrace = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Gentrace:
    """Runs a command with a spool of its own; exit code, output, what was said beside it.

    Variables that are given with a command stay for the later ones.
    """
    for name in [name for name in os.environ if name.startswith(("GENTRACE", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GENTRACE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("TZ", "UTC")

    def asked(*arguments: str, **env: str) -> tuple[int, str, str]:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        code = run(arguments)
        written = capsys.readouterr()
        return code, written.out, written.err

    return asked


@pytest.fixture
def gentrace(ask: Gentrace, tmp_path: Path) -> Gentrace:
    """The same, on the folder of the test by its ``--source``."""
    return lambda *arguments: ask(*arguments, "--source", str(tmp_path / "spool"))
