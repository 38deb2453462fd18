"""How a queue's jobs and results become bytes: `SERIALIZERS`, by name."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

ARQS_OWN = {"t", "f", "a", "k", "et", "s", "r", "st", "ft", "q", "id"}


def _dump_json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, default=repr).encode()


def _dump_strict(data: dict[str, Any]) -> bytes:
    if data.keys() - ARQS_OWN:
        raise ValueError("unknown keys")
    return pickle.dumps(data)


def _load_strict(payload: bytes) -> dict[str, Any]:
    data = pickle.loads(payload)
    if data.keys() - ARQS_OWN:
        raise ValueError("unknown keys")
    return data


Dump = Callable[[dict[str, Any]], bytes]
Load = Callable[[bytes], dict[str, Any]]
SERIALIZERS: dict[str, tuple[Dump | None, Load | None]] = {
    "pickle": (None, None),
    "json": (_dump_json, json.loads),
    "strict": (_dump_strict, _load_strict),
    "strict reader": (pickle.dumps, _load_strict),
}


def loader(name: str) -> Load:
    """Reads what a queue of that serializer holds."""
    return SERIALIZERS[name][1] or pickle.loads
