"""What a page answers: the command, the source that it read, and when. No secret is in it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gentrace.core.otel_env import without_password
from gentrace.report import words

_HEADER, _SOURCE = "--header", "--source"
_HIDDEN = "…"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question.

    Attributes:
        command: the command line, as a shell takes it; values of headers and passwords left out.
        source: what was read.
        at: local date and time with its zone.
    """

    command: str
    source: str
    at: str


def asked(arguments: Sequence[str], source: str, now_ns: int = 0) -> Asked:
    """What was asked, of a command's arguments and of the source's own description."""
    at = words.moment(now_ns or time.time_ns())
    return Asked(shlex.join(["gentrace", *_shown(arguments)]), source, at)


def _shown(arguments: Sequence[str]) -> list[str]:
    shown: list[str] = []
    before = ""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if before == _HEADER:
            shown.append(f"{option}={_HIDDEN}")
        elif before == _SOURCE:
            shown.append(_source(argument))
        elif option == _HEADER and equals:
            shown.append(f"{_HEADER}={value.partition('=')[0]}={_HIDDEN}")
        elif option == _SOURCE and equals:
            shown.append(f"{_SOURCE}={_source(value)}")
        else:
            shown.append(argument)
        before = argument
    return shown


def _source(given: str) -> str:
    return without_password(given) if "://" in given else given
