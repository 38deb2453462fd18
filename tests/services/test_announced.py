"""What a run of the tests says at its start."""

from __future__ import annotations

import pytest

from tests.support import announced
from tools import servers


def _only(monkeypatch: pytest.MonkeyPatch, *there: str) -> None:
    """Those services are here, and no other."""

    def find(name: str) -> None:
        if name not in there:
            raise servers.ServiceMissing(f"no {name} here: install {name}")

    monkeypatch.setattr(servers, "find", find)


def test_the_whole_says_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "redis")
    assert announced.lines(["redis"], whole=True) == [announced.WHOLE]
    assert announced.lines(["redis"], whole=False) == []


def test_what_is_not_here_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "redis")
    assert announced.lines(["redis", "jaeger", "browser"], whole=False) == [
        "tests are left out for want of:",
        "  no jaeger here: install jaeger",
        "  no browser here: install browser",
    ]
