"""Waiting for what another thread or process makes true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def eventually(condition: Callable[[], Any], within_s: float = 8.0) -> Any:
    """What the condition gives once it is true; AssertionError if it does not become so."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)
    return found
