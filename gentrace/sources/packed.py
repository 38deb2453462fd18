"""Files of spans as lines of OTLP JSON, however they are packed: their bytes say it, not names.

A rotated file may be packed with gzip, bzip2, xz or zstd. The Collector's file exporter packs by
itself: with ``compression: zstd`` each request is a zstd frame after its length, with ``format:
proto`` a protobuf message after its length, in a file of any name; with its feature gate
``exporter.file.nativeCompression`` the whole file is zstd.

Source: opentelemetry-collector-contrib exporter/fileexporter 0.161 (file_writer.go,
compression_writer.go).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from gentrace.sources import files

ZSTD = b"\x28\xb5\x2f\xfd"
MOST_BYTES = 256 * 1024**2
"""Of a line, and of a whole file where that is more than :data:`MOST_TIMES` its size packed."""
MOST_TIMES = 100
_PIECE = 1024**2
_LENGTH = 4
_CONTROL = 9  # no text begins with a byte below this: a length that does is of 150 MB at most


class Cut(OSError):
    """The rest of a file cannot be unpacked; ``strerror`` says why."""

    def __init__(self, why: str) -> None:
        super().__init__(0, why)


def opened(path: Path, buffering: int = -1) -> Any:
    """A file opened to read its lines, as ``open`` gives it; its places are those of the lines.

    What ends in the middle of something packed ends before that: its writer is at work on it.

    Raises:
        OSError: it is not there, may not be read, or is no file. Reading raises :class:`Cut`.
    """
    plain = files.opened(path, buffering)
    try:
        head = os.pread(plain.fileno(), 2 * _LENGTH, 0) if hasattr(os, "pread") else _head(plain)
        if not _unpackers(head) and not _is_framed(head):
            return plain
        raw = _Unpacked(files.opened(path))
    except BaseException:
        plain.close()
        raise
    plain.close()
    return raw if buffering == 0 else io.BufferedReader(raw, max(buffering, _PIECE))


def _head(plain: Any) -> bytes:
    head: bytes = plain.read(2 * _LENGTH)
    plain.seek(0)
    return head


class _Unpacked(io.RawIOBase):
    """What a packed file holds; to go back begins anew."""

    def __init__(self, packed: Any) -> None:
        self._packed = packed
        self._most = max(MOST_BYTES, MOST_TIMES * os.fstat(packed.fileno()).st_size)
        self._begin()

    def _begin(self) -> None:
        self._packed.seek(0)
        self._pieces = _lines(self._packed, self._most)
        self._held = memoryview(b"")
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._packed.fileno())

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go there, at most to the end.

        Raises:
            Cut: what lies before it cannot be unpacked.
        """
        if whence == io.SEEK_CUR:
            offset += self._at
        elif whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of a packed file is not known")
        if offset < self._at:
            self._begin()
        while self._at < offset and self._fill():
            self._take(offset - self._at)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Up to so many of the next bytes.

        Raises:
            Cut: they cannot be unpacked.
        """
        if not self._fill():
            return 0
        piece = self._take(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _fill(self) -> bool:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._held = memoryview(piece)
        return True

    def _take(self, most: int) -> memoryview:
        piece, self._held = self._held[:most], self._held[most:]
        self._at += len(piece)
        return piece

    def close(self) -> None:
        self._packed.close()
        super().close()


def _lines(packed: IO[bytes], most: int) -> Iterator[bytes]:
    """Its content in pieces, no more in all than may be."""
    size = since_line = 0
    try:
        for piece in _content(packed, most):
            size += len(piece)
            end = piece.rfind(b"\n")
            since_line = since_line + len(piece) if end < 0 else len(piece) - end - 1
            if size > most or since_line > MOST_BYTES:
                raise _too_large(size > most)
            yield piece
    except EOFError:
        return
    except _damage() as exc:
        if isinstance(exc, OSError) and (isinstance(exc, Cut) or exc.errno):
            raise
        raise Cut(f"it is damaged ({exc})") from None


def _too_large(whole: bool) -> Cut:
    size = f"{MOST_BYTES // 1024**2} MiB"
    if whole:
        return Cut(f"unpacked it is larger than {size}, and than {MOST_TIMES} times its size")
    return Cut(f"unpacked it has a line longer than {size}")


def _content(packed: IO[bytes], most: int) -> Iterator[bytes]:
    head = packed.read(2 * _LENGTH)
    packed.seek(0)
    stream = packed
    if (unpack := _unpackers(head)) is not None:
        stream = unpack(packed)
        head = stream.read(2 * _LENGTH)
    else:
        packed.seek(len(head))
    if _is_framed(head):
        yield from _frames(head, stream, most)
        return
    yield head
    while piece := stream.read(_PIECE):
        yield piece


def _unpackers(head: bytes) -> Callable[[Any], Any] | None:
    """What unpacks a file that begins so; None where it is not packed as a whole."""
    if head.startswith(b"\x1f\x8b"):
        return lambda packed: gzip.GzipFile(fileobj=packed, mode="rb")
    if head.startswith(b"BZh"):
        return lambda packed: bz2.BZ2File(packed)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lambda packed: lzma.LZMAFile(packed)
    if head.startswith(ZSTD):
        return lambda packed: _zstd().ZstdFile(packed)
    return None


def _is_framed(head: bytes) -> bool:
    """Whether a message after its length stands there, of zstd or protobuf."""
    size, begins = int.from_bytes(head[:_LENGTH], "big"), head[_LENGTH:]
    if not 0 < size < _CONTROL << 24:
        return False
    return begins == ZSTD or (begins[:1] == b"\n" and _varint(begins[1:]) < size)


def _varint(data: bytes) -> int:
    """The number that begins there, as protobuf writes it: the length of the first resource."""
    found = 0
    for place, byte in enumerate(data):
        found |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            break
    return found


def _frames(head: bytes, stream: IO[bytes], most: int) -> Iterator[bytes]:
    """Each message as a line; one that is not whole yet ends it."""
    ahead = head
    while len(ahead) >= _LENGTH:
        size = int.from_bytes(ahead[:_LENGTH], "big")
        body = ahead[_LENGTH:] + _read(stream, size - len(ahead) + _LENGTH, most)
        if len(body) < size:
            return
        body, ahead = body[:size], body[size:]
        if body.startswith(ZSTD):
            unpacker = _zstd().ZstdDecompressor()
            body = unpacker.decompress(body, max_length=most + 1)
        line = body.replace(b"\n", b" ") if body.lstrip()[:1] == b"{" else _of_protobuf(body)
        yield line + b"\n"
        ahead += stream.read(_LENGTH - len(ahead)) if len(ahead) < _LENGTH else b""


def _read(stream: IO[bytes], size: int, most: int) -> bytes:
    """So many bytes, or what there is; a length that is none costs no memory."""
    if size > most:
        raise _too_large(whole=False)
    pieces: list[bytes] = []
    while size > 0 and (piece := stream.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _of_protobuf(message: bytes) -> bytes:
    """A request as JSON; what is none as it is, which is no JSON either."""
    from google.protobuf.json_format import MessageToJson
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(message)
        return MessageToJson(request, indent=None).encode()
    except (DecodeError, ValueError):
        return b"no request"


def _damage() -> tuple[type[Exception], ...]:
    """What unpacking raises where a file is damaged; gzip and bzip2 an OSError without a code."""
    found = (zlib.error, lzma.LZMAError, ValueError, OSError)
    try:
        return (*found, _zstd().ZstdError)
    except Cut:
        return found


def _zstd() -> Any:
    """The standard library's zstd, or its backport.

    Raises:
        Cut: neither is there.
    """
    try:
        try:
            from compression import zstd  # pyright: ignore
        except ImportError:
            from backports import zstd
    except ImportError:
        raise Cut(
            "it is packed with zstd; pip install 'gentrace[cli]' brings what reads it"
        ) from None
    return zstd
