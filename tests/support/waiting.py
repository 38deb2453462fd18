"""Waiting for what another thread or process makes true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 180.0
"""So long is waited for what must come, on a machine that is busy; no test passes by it."""


def eventually(condition: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
    """What the condition gives once it is true; AssertionError if it does not become so."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)
    return found
