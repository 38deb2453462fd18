"""The hooked small host, and the rule that an error swallowed by gentrace fails its test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import pytest

from gentrace.runtime import notices
from gentrace.runtime.store import find
from tests.support.host import SmallHost, hooked
from tools.servers import RedisServer


class Swallowed(list[tuple[str, BaseException]]):
    """What gentrace swallowed in this test; `expected` once a test asked for it."""

    expected = False


@pytest.fixture(autouse=True)
def _nothing_swallowed() -> Generator[Swallowed]:
    found = Swallowed()

    def listen(where: str, exc: BaseException) -> None:
        found.append((where, exc))

    notices.forget()
    notices.on_swallowed.append(listen)
    yield found
    notices.on_swallowed.remove(listen)
    notices.forget()
    assert found.expected or not found, f"gentrace swallowed {found}"


@pytest.fixture
def swallowed(_nothing_swallowed: Swallowed) -> Swallowed:
    """The errors that gentrace swallowed, for a test that makes it fail."""
    _nothing_swallowed.expected = True
    return _nothing_swallowed


@pytest.fixture(scope="session")
def small_host(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Generator[SmallHost]:
    """The small host, imported hooked; one for all tests."""
    with hooked(redis_server, tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture
async def host(small_host: SmallHost, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[SmallHost]:
    """The small host as after a fresh start, with its API running."""
    monkeypatch.setattr(find, "READ_TIMEOUT_S", 5.0)  # a busy machine is no missing store
    small_host.reset()
    async with small_host.running():
        yield small_host
