"""Which machine this is, as OpenTelemetry's resources name it: ``host.name`` and ``host.id``.

Source: the host detector of opentelemetry-go 1.38 (``resource/host_id.go``), for where the id is.
"""

from __future__ import annotations

import os
import platform
import re
import stat
import sys
from functools import cache

_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid")
_MOST_BYTES = 128
_ID = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]{7,63}")


@cache
def attributes() -> dict[str, str]:
    """The machine's name and id; what cannot be learnt is left out. Never waits."""
    found = {"host.name": platform.node(), "host.id": _id()}
    return {name: value for name, value in found.items() if value}


def _id() -> str:
    if sys.platform == "win32":
        return _checked(_of_the_registry())
    return next((found for path in _FILES if (found := _checked(_read(path)))), "")


def _read(path: str) -> str:
    """The file's text. A pipe in its place would keep whoever opens it waiting: it is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return os.read(descriptor, _MOST_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _of_the_registry() -> str:
    import importlib

    winreg = importlib.import_module("winreg")
    try:
        with winreg.OpenKey(
            winreg.HKEY_LOCAL_MACHINE,
            r"SOFTWARE\Microsoft\Cryptography",
            0,
            winreg.KEY_READ | winreg.KEY_WOW64_64KEY,
        ) as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])
    except OSError:
        return ""


def _checked(text: str) -> str:
    """The text where it is an id; systemd writes ``uninitialized`` before the first start."""
    return text.strip() if _ID.fullmatch(text.strip()) else ""
