"""OTLP JSON lines in a file or folder: the spool, and the Collector's file exporter.

Files are read while others write them. A line is looked at as bytes first, so that a search for
one generation decodes only the lines that can hold it.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gentrace.core import names
from gentrace.core.errors import SourceError
from gentrace.core.spans import Span, Trace, oldest_first, plain, repeated, traces
from gentrace.sources import rotated
from gentrace.sources.base import ALWAYS, Found, Window
from gentrace.sources.files import look, passed_over
from gentrace.sources.packed import Cut, opened
from gentrace.sources.rotated import SUFFIXES
from gentrace.sources.whole import Spans

PROCESSES = "processes-"
MOST_SPANS = 2_000_000
"""That are taken at once: some 1.6 GiB of memory."""
_MOST_PASSED = 3
_SPELT_ONE_WAY = re.compile(r"[A-Za-z0-9_:-]+")
Keep = Callable[[bytes], bool]


def _all(_line: bytes) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    written_ns: int
    size: int


class OtlpFiles:
    """A file, or every ``.jsonl``, ``.json`` and ``.ndjson`` file of a folder, rotated or packed.

    Args:
        path: the file or folder.
        label: what to call it in messages.
        may_be_missing: an absent folder is an empty one (nothing was traced yet).

    Attributes:
        passed_over: what is named as a file of spans and is not read, in sentences: what is no
            file or packed in another way, and beside a single file the older ones of its rotation.

        tell: is told how many bytes of lines were read, again and again; None asks for nothing.

    Raises:
        SourceError: from every reading method, where ``path`` is absent or unreadable.
    """

    def __init__(self, path: Path, label: str = "", may_be_missing: bool = False) -> None:
        self.path, self.label, self.may_be_missing = path, label, may_be_missing
        self.passed_over: Sequence[str] = ()
        self._notes: dict[Path, list[str]] = {}
        self._repeated = 0
        self.tell: Callable[[int], object] | None = None
        self._left_out = ""
        self._unread: list[Path] = []  # the file that is read now, and those that come then

    @property
    def description(self) -> str:
        """What is read, for messages."""
        return f"{self.label} {self.path}".strip()

    @property
    def notes(self) -> Sequence[str]:
        """What was no file, damaged or closed, spans that came twice: of the last reading."""
        found = [*self.passed_over, *(note for notes in self._notes.values() for note in notes)]
        found += [self._left_out] if self._left_out else []
        return [*found, repeated(self._repeated)] if self._repeated else found

    @property
    def looked_at(self) -> str:
        """How many traces there are."""
        return f"{len(self.traces().traces)} traces"

    def traces(self, window: Window = ALWAYS) -> Found:
        """The traces with a span in the window, oldest first."""
        found = traces(self._at_most(self._spans(_all, window, newest_first=True)))
        kept = self._oldest_first(t for t in found if window.meets(t.start_ns, t.end_ns))
        return Found(kept, truncated=bool(self._left_out))

    def trace(self, trace_id: str) -> Sequence[Trace]:
        """The trace of that id, or all whose id starts with it."""
        wanted = trace_id.lower()
        whole = len(wanted) == 32
        keep = _mentions({wanted}) if whole else _all
        spans = (span for span in self._spans(keep) if span.trace_id.startswith(wanted))
        return self._oldest_first(traces(self._at_most(spans)))

    def by_generation(self, generation_id: str, window: Window = ALWAYS) -> Found:
        """The traces with a span of that generation."""
        return self.by_attribute(names.GENERATION_ID, generation_id, window)

    def by_attribute(self, name: str, value: str, window: Window = ALWAYS) -> Found:
        """The traces with a span that carries the attribute with that value, as text."""
        # A value that JSON may spell in other ways cannot be looked for in the bytes.
        needle = value.encode() if _SPELT_ONE_WAY.fullmatch(value) else b""

        def holds(line: bytes) -> bool:
            return needle in line

        wanted = {
            span.trace_id
            for span in self._spans(holds, window)
            if name in span.attributes and plain(span.attributes[name]) == value
        }
        if not wanted:
            return Found(())
        spans = (span for span in self._spans(_mentions(wanted)) if span.trace_id in wanted)
        kept = self._oldest_first(traces(self._at_most(spans)))
        return Found(kept, truncated=bool(self._left_out))

    def _oldest_first(self, found: Iterable[Trace]) -> list[Trace]:
        given = oldest_first(found)
        self._repeated = sum(trace.repeated for trace in given)
        return given

    def goes_on(self, at_ns: int) -> bool:
        """Whether a span starts after that."""
        return any(span.start_ns > at_ns for span in self._spans(_all, Window(at_ns)))

    def is_empty(self) -> bool:
        """Whether no file of spans holds anything."""
        return all(file.size == 0 for file in self._files())

    def files(self) -> list[Path]:
        """The files there are, in the order in which they were last written."""
        return [file.path for file in self._files()]

    def _files(self) -> list[_File]:
        """The files, in the order in which they were last written: of two, the later wins."""
        self.passed_over = ()
        alone = look(self.path)
        if isinstance(alone, os.stat_result):
            self.passed_over = _older(self.path)
            return [_File(self.path, alone.st_mtime_ns, alone.st_size)]
        found: list[_File] = []
        passed: list[str] = []
        others = False
        try:
            for path in self.path.iterdir():
                if path.name.startswith(PROCESSES):
                    continue
                others = True
                there = look(path) if rotated.is_named_so(path.name) else None
                if how := rotated.unread(path.name):
                    passed.append(passed_over(path, f"packed in a way that is not read ({how})"))
                elif isinstance(there, str):
                    passed.append(passed_over(path, there))
                elif there is not None:
                    found.append(_File(path, there.st_mtime_ns, there.st_size))
        except FileNotFoundError:
            if self.may_be_missing:
                return []
            raise SourceError(
                f"{self.description}: no such file or folder; give a file or folder of OTLP JSON "
                "lines, or leave --source and GENTRACE_SOURCE out to read the spool"
            ) from None
        except OSError as exc:
            why = exc.strerror if self.path.is_dir() else f"it is {alone}"
            raise SourceError(f"{self.description} cannot be read: {why}") from None
        self.passed_over = sorted(passed)
        if others and not found and not self.may_be_missing:
            raise SourceError(
                f"{self.description} is no spool: it holds none of {', '.join(SUFFIXES)}. Give a "
                "file or folder of OTLP JSON lines"
                + "".join(f"; {text}" for text in self.passed_over[:_MOST_PASSED])
            )
        return sorted(found, key=lambda file: (file.written_ns, file.path.name))

    def _spans(
        self, keep: Keep, window: Window = ALWAYS, newest_first: bool = False
    ) -> Iterator[Span]:
        """The spans of every line that ``keep`` lets through.

        A file last written before the window opens holds nothing that happened in it.
        """
        self._left_out = ""
        paths = [file.path for file in self._files() if file.written_ns >= window.since_ns]
        self._unread = paths[::-1] if newest_first else paths
        while self._unread:
            yield from self._read(self._unread[0], keep)
            del self._unread[0]

    def _at_most(self, spans: Iterable[Span]) -> Iterator[Span]:
        """As many as are taken at once; what is left out is said."""
        for number, span in enumerate(spans):
            if number == MOST_SPANS:
                first, *others = self._unread
                more = f" and {len(others)} more file{'s' * (len(others) > 1)}" if others else ""
                self._left_out = (
                    f"more than {MOST_SPANS:,} spans are asked for, and so many are taken at once: "
                    f"the rest of {first}{more} is left out. Ask for one generation, or give fewer "
                    "files; slow and failing look at all of them"
                )
                return
            yield span

    def _read(self, path: Path, keep: Keep) -> Iterator[Span]:
        read = lines = replaced = 0
        notes: list[str] = []
        decoder = Spans()
        try:
            with opened(path) as handle:
                for line in _whole_lines(handle):
                    if self.tell is not None:
                        self.tell(len(line))
                    if not keep(line):
                        torn = _torn(line)
                        lines, read = lines + torn, read + (not torn and bool(line.strip()))
                        continue
                    try:
                        spans = decoder.of(line)
                    except (ValueError, RecursionError):
                        # An unfinished last line is being written right now, or its writer
                        # was killed in the middle of it: nothing to worry anybody with.
                        lines += bool(line.strip()) and (line[-1:] == b"\n" or line[:1] != b"{")
                        continue
                    read += 1
                    replaced += not _is_utf8(line)
                    yield from spans
        except FileNotFoundError:
            return  # the spool dropped it since it was listed
        except Cut as exc:
            notes.append(cut_off(path, exc))
        except OSError as exc:
            if path == self.path:
                raise SourceError(f"{self.description} cannot be read: {exc.strerror}") from None
            notes.append(f"{path} cannot be read ({exc.strerror}), left out")
        if lines and not read:
            notes.append(f"{path} has no line of OTLP JSON; is it another kind of file?")
            lines = 0
        if replaced:
            notes.append(
                f"{_lines(replaced)} in {path} with bytes that are no UTF-8, read as \ufffd"
            )
        for count, what in ((lines, "line"), (decoder.damaged, "span")):
            if count:
                notes.append(f"{count} damaged {what}{'s' * (count > 1)} in {path}, skipped")
        if notes:
            self._notes[path] = notes


def cut_off(path: Path, cut: Cut) -> str:
    """What to say of a file whose end could not be unpacked."""
    return f"{path} is not read to its end: {cut.strerror}"


def not_read(path: Path) -> str:
    """What to say of a file that could not be read."""
    return f"{path} cannot be read, left out"


def _older(path: Path) -> list[str]:
    try:
        found = rotated.beside(path)
    except OSError:
        return []
    files = f"an older file of its rotation lies ({found[0].name})" if found else ""
    if len(found) > 1:
        files = f"{len(found)} older files of its rotation lie ({found[0].name}, …)"
    return [f"beside {path} {files}; to read them, too, give its folder"] if found else []


def _is_utf8(line: bytes) -> bool:
    if line.isascii():
        return True
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(count: int) -> str:
    return "one line" if count == 1 else f"{count} lines"


def _whole_lines(handle: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, put together again where a reader was quicker than the writer; the last as it is."""
    begun = b""
    for piece in handle:
        begun += piece
        if begun.endswith(b"\n"):
            yield begun
            begun = b""
    if begun:
        yield begun


def _mentions(trace_ids: set[str]) -> Keep:
    """Lines that may hold one of the traces: its id in lower or upper hex, or in base64."""
    spellings: list[bytes] = []
    for trace_id in trace_ids:
        spellings += [trace_id.encode(), trace_id.upper().encode()]
        spellings.append(base64.b64encode(bytes.fromhex(trace_id)).rstrip(b"="))

    def mentions(line: bytes) -> bool:
        # json may write a slash of base64 as \/
        return any(s in line for s in spellings) or b"\\/" in line

    return mentions


def _torn(line: bytes) -> bool:
    """Whether a line that nobody needs is plainly no JSON object, without parsing it."""
    text = line.strip()
    return line.endswith(b"\n") and bool(text) and not (text[:1] == b"{" and text[-1:] == b"}")
