"""What an exception tells of its cause: which exceptions it was raised from, and where in the host.

Frames are those of the host's own packages: file, line and function, never the line's text, a
variable or a message. All of it is worked out when something fails, and only then.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import CodeType, FrameType, TracebackType
from typing import Any

_MAX_CHAIN = 16
_MAX_FRAMES = 40
_MAX_WALK = 400
_STATUSES = ("status_code", "status")
_ANSWERS = frozenset({"starlette", "fastapi"})
_REFUSED, _LAST = 400, 599


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the host's code that was being run.

    Attributes:
        file: from the package's folder on, or below an entry of ``sys.path``.
        function: ``module:qualname``.
    """

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function.rpartition(':')[2]}"


def chain(exc: Exception) -> list[Exception]:
    """It, then what it was raised from, and so on inwards; the last one is where it began.

    Of a group its first member goes on. What ``from None`` hides is left out, and so is an
    exception that was merely being handled when another thing went wrong.
    """
    found: list[Exception] = []
    at: BaseException | None = exc
    while isinstance(at, Exception) and len(found) < _MAX_CHAIN:
        if any(at is each for each in found):
            break
        found.append(at)
        at = _inner(at)
    return found


def _inner(exc: Exception) -> BaseException | None:
    if isinstance(exc, BaseExceptionGroup):
        members: Sequence[BaseException] = exc.exceptions
        return next((each for each in members if isinstance(each, Exception)), None)
    if exc.__cause__ is not None:
        return exc.__cause__
    context = None if exc.__suppress_context__ else exc.__context__
    return context if context is not None and _stands_for(exc, context) else None


def _stands_for(exc: Exception, context: BaseException) -> bool:
    """Whether it was raised in place of that one: where that was caught, or with it in hand.

    Without ``from``, Python keeps whatever was being handled: also where a handler of its own
    accord ran into something else, which then is the cause.
    """
    raised, caught = _last(exc.__traceback__), context.__traceback__
    if raised is None or caught is None:
        return False
    frame = raised.tb_frame
    return frame is caught.tb_frame or any(each is context for each in frame.f_locals.values())


def _last(traceback: TracebackType | None) -> TracebackType | None:
    for _ in range(_MAX_WALK):
        if traceback is None or traceback.tb_next is None:
            return traceback
        traceback = traceback.tb_next
    return None


def origin(found: Iterable[Exception], packages: Sequence[str]) -> Place | None:
    """The innermost line of the host's that led to the failure; None where none is known.

    Args:
        found: as :func:`chain` gives it.
    """
    for exc in reversed([*found]):
        places = _raised_at(exc, packages)
        if places:
            return places[-1]
    return None


def http_status(found: Iterable[Exception]) -> int | None:
    """The status, from 400 on, of the HTTP answer that one of them carries, the innermost first.

    As httpx, requests and aiohttp have it, and the SDKs that are built on these. What a host would
    answer itself with is none.

    Args:
        found: as :func:`chain` gives it.
    """
    for exc in reversed([*found]):
        if any(base.__module__.partition(".")[0] in _ANSWERS for base in type(exc).__mro__):
            continue
        try:
            told = [getattr(exc, name, None) for name in _STATUSES]
            told.append(getattr(getattr(exc, "response", None), "status_code", None))
        except Exception:
            continue  # it cannot be read
        for code in told:
            if isinstance(code, int) and _REFUSED <= code <= _LAST:
                return int(code)
    return None


def stack(
    found: Sequence[Exception], packages: Sequence[str], frame: FrameType | None = None
) -> list[str]:
    """The host's frames and the exceptions' types in the order of a traceback: the last call last.

    Args:
        frame: from where on outwards the callers are told, too.
    """
    lines = [str(place) for place in _callers(frame, packages)]
    for exc in reversed(found):
        lines += [str(place) for place in _raised_at(exc, packages)]
        lines.append(type(exc).__qualname__)
    return lines[-2 * _MAX_FRAMES :]


def _raised_at(exc: Exception, packages: Sequence[str]) -> Sequence[Place]:
    """The host's frames that the exception passed, the innermost last."""
    kept: deque[tuple[FrameType, int]] = deque(maxlen=_MAX_FRAMES)
    traceback, walked = exc.__traceback__, 0
    while traceback is not None and walked < _MAX_WALK:
        if _module(traceback.tb_frame, packages):
            kept.append((traceback.tb_frame, traceback.tb_lineno))
        traceback, walked = traceback.tb_next, walked + 1
    return [_place(frame, line) for frame, line in kept]


def _callers(frame: FrameType | None, packages: Sequence[str]) -> list[Place]:
    """The host's frames from there outwards, the outermost first."""
    found: list[Place] = []
    for each in _outwards(frame):
        if _module(each, packages):
            found.append(_place(each, each.f_lineno))
    return found[:_MAX_FRAMES][::-1]


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(_MAX_WALK):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _module(frame: FrameType, packages: Sequence[str]) -> str:
    """The name of the frame's module, if it is the host's."""
    name: Any = frame.f_globals.get("__name__")
    if not isinstance(name, str):
        return ""
    known = any(name == package or name.startswith(package + ".") for package in packages)
    return name if known else ""


def _place(frame: FrameType, line: int | None) -> Place:
    module = str(frame.f_globals.get("__name__"))
    code = frame.f_code
    return Place(_file(code, module), line or 0, f"{module}:{code.co_qualname}")


def _file(code: CodeType, module: str) -> str:
    """The code's file without the folders of this machine."""
    path = code.co_filename.replace("\\", "/")
    whole = module.replace(".", "/")
    for file in (f"{whole}.py", f"{whole}/__init__.py"):
        if path == file or path.endswith("/" + file):
            return file
    entries = (entry.replace("\\", "/").rstrip("/") + "/" for entry in sys.path if entry)
    below = [path.removeprefix(entry) for entry in entries if path.startswith(entry)]
    return min(below, key=len, default=PurePath(path).name)
