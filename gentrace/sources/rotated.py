"""Which names in a folder are those of files of spans, the rotated and packed ones among them.

The Collector puts the time before the extension (``traces-2026-07-02T14-00-00.000-size.jsonl``),
logrotate a number or a date behind it (``traces.jsonl.2.gz``, ``traces.jsonl-20260702.zst``).
"""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (".jsonl", ".json", ".ndjson")
_TURN = r"(?:[.-]\d[\dTZ.:_-]*)?"
_OURS = r"\.(?:jsonl|json|ndjson)" + _TURN
_READ = re.compile(rf".*(?:{_OURS}(?:\.(?:gz|bz2|xz|zst|zstd))?|\.(?:zst|zstd))", re.IGNORECASE)
_PACKED = re.compile(
    rf".*{_OURS}\.(lz4|br|z|7z|zip|rar|lzo|lz|sz|lzma|tgz|tar|tar\.\w+|age|gpg|enc)", re.IGNORECASE
)


def is_named_so(name: str) -> bool:
    """Whether a file of that name is one of spans."""
    return _READ.fullmatch(name) is not None


def unread(name: str) -> str:
    """How such a file is packed, where that is not read; else empty."""
    found = _PACKED.fullmatch(name)
    return found[1] if found else ""


def beside(path: Path) -> list[Path]:
    """The older files of its rotation.

    Raises:
        OSError: its folder cannot be read.
    """
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    packed = r"(?:\.\w+)?"
    older = re.compile(
        rf"{stem}-\d{{4}}-\d\d-\d\dT[\d.-]+(?:-\w+)?{suffix}{packed}"
        rf"|{stem}{suffix}(?:[.-]\d[\dTZ.:_-]*{packed}|\.(?:gz|bz2|xz|zst|zstd))"
    )
    return sorted(each for each in path.parent.iterdir() if older.fullmatch(each.name))
