"""The local spool: OTLP JSON lines, one segment a process and kind, bounded in size and age.

A line is one whole write to a file opened for appending, so that a kill leaves at most one
unfinished last line, and readers never see two processes' bytes in one line. What a full disk cuts
off is taken back. Encoding is opentelemetry-exporter-otlp-json-common's.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gentrace.core import names, regular_files

SPANS, RUNS, PROCESSES = "spans", "runs", "processes"
_SEGMENT = re.compile(r"(?:spans|runs|processes)-\d{8}T\d{6}-\d+-[0-9a-f]{8}-\d{4}\.jsonl")
_SEGMENT_BYTES = 16 * 1024 * 1024
_CLEAN_EVERY_S = 60.0


class Spool:
    """Writes this process's segments below ``folder``; older segments go when it is too big.

    Args:
        folder: made on the first write, readable by this user only.
        max_bytes: over all segments of all processes.
        max_age_s: a segment that was not written for so long is removed.
        instance: names the segments of this process.

    Raises:
        OSError: from :meth:`write_spans` and :meth:`write_process`, when the disk says no.
    """

    def __init__(self, folder: Path, max_bytes: int, max_age_s: int, instance: str) -> None:
        self.folder, self.max_bytes, self.max_age_s = folder, max_bytes, max_age_s
        self._files: dict[str, _Segment] = {}
        self._lock = threading.Lock()
        self._cleaned = 0.0
        self._name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{instance[:8]}"

    def write_spans(self, spans: Sequence[Any]) -> None:
        """Append ended spans (the SDK's ReadableSpan), the run spans in a segment of their own."""
        runs = [span for span in spans if span.name == names.RUN]
        others = [span for span in spans if span.name != names.RUN]
        with self._lock:
            for kind, chosen in ((SPANS, others), (RUNS, runs)):
                if chosen:
                    self._append(kind, _encode(chosen))

    def write_process(self, record: dict[str, Any]) -> None:
        """Append this process's record."""
        line = json.dumps({"gentraceProcess": record}, separators=(",", ":"), default=str)
        with self._lock:
            self._append(PROCESSES, line.encode() + b"\n")

    def _append(self, kind: str, line: bytes) -> None:
        now = time.monotonic()
        if now - self._cleaned > _CLEAN_EVERY_S or not self._cleaned:
            self._cleaned = now
            self._clean()
        segment = self._files.get(kind)
        if segment is None or segment.size + len(line) > _SEGMENT_BYTES or segment.removed():
            segment = self._next(kind)
        try:
            segment.append(line)
        except OSError as exc:
            if exc.errno != errno.EFBIG or not segment.size:
                raise
            self._next(kind).append(line)  # a limit on the size of a file leaves room in another

    def _next(self, kind: str) -> _Segment:
        """Open the kind's next segment and close the one before it."""
        last = self._files.get(kind)
        number = last.number + 1 if last else 0
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = _Segment(self.folder / f"{kind}-{self._name}-{number:04d}.jsonl", number)
        if last:
            last.close()
        self._files[kind] = made
        return made

    def _clean(self) -> None:
        """Remove what is too old, then the oldest until the rest fits; never our own."""
        own = {segment.path for segment in self._files.values()}
        found: list[tuple[float, int, Path]] = []
        try:
            for path in self.folder.iterdir():
                stat = path.stat()
                if path not in own and _SEGMENT.fullmatch(path.name):
                    found.append((stat.st_mtime, stat.st_size, path))
        except OSError:
            return
        total = sum(size for _, size, _ in found) + sum(s.size for s in self._files.values())
        for written, size, path in sorted(found):
            if time.time() - written > self.max_age_s or total > self.max_bytes:
                try:
                    path.unlink()
                    total -= size
                except OSError:
                    continue

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for segment in self._files.values():
                segment.close()
            self._files.clear()


class _Segment:
    """One file, written with one ``os.write`` a line."""

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number, self._torn = path, number, False
        self._fd = regular_files.append_to(path)
        self.size = os.fstat(self._fd).st_size

    def append(self, line: bytes) -> None:
        if self._torn:
            line = b"\n" + line
        written = 0
        try:
            while written < len(line):  # the second write says why the first was short
                wrote = os.write(self._fd, line[written:])
                if not wrote:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                written += wrote
        except OSError:
            self._take_back(written)
            raise
        self.size += written
        self._torn = False

    def _take_back(self, written: int) -> None:
        """Cut off the part of a line that was written; nobody else writes to this file."""
        if not written:
            return
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            self.size += written
            self._torn = True  # the next line begins with a line's end

    def removed(self) -> bool:
        """Somebody (another process that cleaned up) has removed the file."""
        return os.fstat(self._fd).st_nlink == 0

    def close(self) -> None:
        try:
            os.close(self._fd)
        except OSError:
            return


def _encode(spans: Sequence[Any]) -> bytes:
    from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans

    return json.dumps(encode_spans(spans).to_dict(), separators=(",", ":")).encode() + b"\n"
