"""Commands and answers as Redis has them on the wire: no more of it than the store needs."""

from __future__ import annotations


def packed(*words: str | int | float) -> bytes:
    """A command as Redis reads it."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        encoded = str(word).encode("utf-8", "replace")
        parts.append(b"$%d\r\n%b\r\n" % (len(encoded), encoded))
    return b"".join(parts)


class Answers:
    """Takes bytes as they come and gives the answers that are whole."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, some: bytes) -> list[int | str | Exception]:
        """The answers that these bytes complete, first to last.

        Raises:
            ValueError: that is no answer to any command of ours.
        """
        data, found, at = self._rest + some, list[int | str | Exception](), 0
        while (end := data.find(b"\r\n", at)) >= 0:
            kind, line = data[at : at + 1], data[at + 1 : end]
            after = end + 2
            if kind == b":":
                found.append(int(line))
            elif kind == b"+":
                found.append(line.decode("utf-8", "replace"))
            elif kind == b"-":
                found.append(Refused(line.decode("utf-8", "replace")))
            elif kind in (b"$", b"_"):
                size = int(line) if kind == b"$" else -1
                if size >= 0:
                    if len(data) < after + size + 2:
                        break
                    found.append(data[after : after + size].decode("utf-8", "replace"))
                    after += size + 2
                else:
                    found.append("")
            else:
                raise ValueError("no answer that the store can read")
            at = after
        self._rest = data[at:]
        return found


class Refused(Exception):
    """Redis refused a command; the text is its own, and begins with what kind of refusal it is."""

    @property
    def kind(self) -> str:
        """``OOM``, ``READONLY``, ``NOPERM``, ``WRONGTYPE``, …"""
        return str(self).partition(" ")[0]

    @property
    def is_outage(self) -> bool:
        """Whether Redis takes nothing for now; what was sent is sent again."""
        return self.kind in _FOR_NOW


_FOR_NOW = frozenset(
    {"OOM", "READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "MISCONF", "CLUSTERDOWN", "NOAUTH"}
)
