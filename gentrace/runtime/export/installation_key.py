"""The installation's HMAC key beside the spool: made once, and taken only where nobody else may."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gentrace.core import regular_files
from gentrace.runtime import notices

KEY_BYTES = 32


def installation_key(folder: Path) -> bytes:
    """The key of the installation whose spool that is; of this process alone where that fails.

    What stands in its place and is no such key is left there, and said once.
    """
    path = folder.parent / f"{folder.name}.key"
    fresh = secrets.token_bytes(KEY_BYTES)
    try:
        return _kept(path) or _made(path, fresh) or _kept(path) or fresh
    except OSError as exc:
        unfit = isinstance(exc, regular_files.UnfitFile)
        why = exc.strerror if unfit else f"cannot be read ({exc.strerror})"
        notices.say_once(
            f"key:{path}",
            f"{path}, where the key lies, {why} and is not taken: what this process marks in "
            "place of texts cannot be compared with other processes' marks. Remove it, and one is "
            "made anew",
        )
        return fresh


def _kept(path: Path) -> bytes | None:
    try:
        return regular_files.read_own(path, KEY_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _made(path: Path, key: bytes) -> bytes | None:
    """The key, written; None where another process was faster or none can be kept."""
    whole = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(whole, key)
        try:
            os.link(whole, path)  # so that nobody ever reads half of it
        except FileExistsError:
            return None
        except OSError:  # a file system without links
            _write(path, key)
        finally:
            whole.unlink()
    except OSError:
        return None
    return key


def _write(path: Path, key: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key)
