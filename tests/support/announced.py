"""What a run of the tests says at its start: how long it takes, and what it will leave out."""

from __future__ import annotations

from collections.abc import Iterable

from tools import servers

WHOLE = (
    "all tests, side by side: 15 to 20 minutes on two cores; Ctrl-C ends them and their servers, "
    "and says what was seen until then"
)


def lines(services: Iterable[str], *, whole: bool) -> list[str]:
    """For pytest's header.

    Args:
        services: those that tests need.
        whole: no part was asked for.
    """
    missing: list[str] = []
    for name in services:
        try:
            servers.find(name)
        except servers.ServiceMissing as exc:
            missing.append(str(exc))
    said = [WHOLE] if whole else []
    if missing:
        said.append("tests are left out for want of:")
        said += [f"  {reason}" for reason in missing]
    return said
