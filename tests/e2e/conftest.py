"""What the files share that start API and worker in many ways."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.e2e import many
from tests.support import programs
from tests.support.otlp_receiver import OtlpReceiver, receiver
from tools.servers import JaegerServer


@pytest.fixture(scope="module")
def received() -> Generator[OtlpReceiver]:
    """Where the spans of every start go; each test clears it first."""
    with receiver() as running:
        yield running


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source tree."""
    out = tmp_path_factory.mktemp("wheel")
    how = ["--wheel", "--no-isolation", "--outdir", str(out)]
    done = programs.run([sys.executable, "-m", "build", *how, str(programs.ROOT)], out)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def sent(
    jaeger_server: JaegerServer,
    anything_failed: Callable[[], bool],
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[many.Sent]:
    """Two hundred generations in three places, made once: it takes more than a minute."""
    with many.made(jaeger_server, tmp_path_factory.mktemp("many"), anything_failed) as found:
        yield found
