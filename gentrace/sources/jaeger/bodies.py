"""JSON bodies in pieces: Jaeger's API v3 may stream several objects, one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"\s*")


def objects(text: str) -> list[Any]:
    """The JSON values of a text, with or without space between them.

    Raises:
        ValueError: it is empty, or somewhere no JSON.
    """
    found: list[Any] = []
    at = _end_of_space(text, 0)
    while at < len(text) or not found:
        try:
            value, at = _DECODER.raw_decode(text, at)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        found.append(value)
        at = _end_of_space(text, at)
    return found


def fault(values: Iterable[Any]) -> str:
    """What an answer says of its fault, in any of Jaeger's ways; empty where it tells of none."""
    for value in values:
        told = as_object(value).get("error") or as_object(value).get("errors")
        if isinstance(told, list):
            told = told[0] if told else None
        if isinstance(told, str):
            return told
        if told:
            detail = as_object(told)
            return str(detail.get("message") or detail.get("msg") or "an error without words")
        if isinstance(message := as_object(value).get("message"), str):
            return message
    return ""


def as_object(value: Any) -> Mapping[str, Any]:
    """The JSON object; an empty one where it is something else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    """The JSON array; an empty one where it is something else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def _end_of_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
