"""What the files share that start API and worker in many ways."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support.otlp_receiver import OtlpReceiver, receiver


@pytest.fixture(scope="module")
def received() -> Generator[OtlpReceiver]:
    """Where the spans of every start go; each test clears it first."""
    with receiver() as running:
        yield running
