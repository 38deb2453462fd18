"""Looks for what must not leave the host in all that gentrace wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from redis import Redis


def private_in(folder: Path, redis_url: str, secrets: Iterable[str]) -> list[str]:
    """Where one of the secrets stands in the spool's files or in gentrace's values in Redis."""
    wanted = [secret.encode() for secret in secrets]
    found: list[str] = []
    for file in sorted(folder.glob("*")):
        content = file.read_bytes()
        found += [f"{file.name}: {s.decode()[:12]}…" for s in wanted if s in content]
    with Redis.from_url(redis_url) as client:  # pyright: ignore[reportUnknownMemberType]
        for key in client.scan_iter("gentrace:*"):
            content = key + _value(client, key)
            found += [f"{key.decode()}: {s.decode()[:12]}…" for s in wanted if s in content]
    return found


def _value(client: Any, key: bytes) -> bytes:
    kind = client.type(key)
    if kind == b"string":
        return client.get(key) or b""
    if kind == b"hash":
        return b" ".join(part for pair in client.hgetall(key).items() for part in pair)
    if kind == b"zset":
        return b" ".join(client.zrange(key, 0, -1))
    return b" ".join(client.smembers(key)) if kind == b"set" else b""
