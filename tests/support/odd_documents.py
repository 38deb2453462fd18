"""JSON documents that are nearly right: Hypothesis changes some places of one that is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

_DEEP = "@@deep@@"
_INVISIBLE = (
    "\u202e\u2066x\u2069", "\u200b", "a\u200db", "\x1b[31m\x1b]0;x\x07", "\x9b1m", "\ufeff", "\0",
    "\ud800", "\udfff\ud800", "\u2028\u2029", "\U000e0041", "\r\n", "\t", " ", "",
)  # fmt: skip
_NUMBERS_IN_TEXT = (
    "NaN", "-Infinity", "1e999", "²", "١٢", "１２", "0x10", "1_000", "+5", " 7 ", "-0", "9" * 30,
    "9" * 5_000, "1.5", "true", "None",
)  # fmt: skip
_LOOKS_LIKE = (
    "<script>alert(1)</script>", "[bold]x[/bold]", "[/]", "{{x}}", "%s%n", "../../etc/passwd",
    "a" * 5_000, "completed", "failed", "cancelled", "2026-06-21T00:00:00Z", "generation",
    "0" * 32, "0" * 16, "f" * 32, "AAAAAAAAAAA=", "finished", "queue", "http://[::1", "=",
    ",", ",,",
)  # fmt: skip
_NUMBERS = (
    10**400, float("inf"), float("nan"), -1, 2**53 + 1, 2**63, 2**70, -(10**400), 1e300, -1e308,
    float("-inf"), 0, -0.0, 1.5,
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(_INVISIBLE),
    st.sampled_from(_NUMBERS_IN_TEXT),
    st.sampled_from(_LOOKS_LIKE),
    st.text(max_size=8),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_NUMBERS),
    st.integers(-(2**70), 2**70),
    st.floats(),
    texts,
)
values = st.recursive(
    st.one_of(scalars, st.just(_DEEP)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(texts, inner, max_size=3),
    ),
    max_leaves=4,
)
"""What may stand in any place instead of what should."""
_AS = ("stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue")
_odd_numbers = st.one_of(st.sampled_from(_NUMBERS), st.sampled_from(_NUMBERS_IN_TEXT))
any_values = st.one_of(
    st.builds(lambda kind, told: {kind: told}, st.sampled_from(_AS[:3]), _odd_numbers),
    st.builds(lambda kind, told: {kind: told}, st.sampled_from(_AS[:3]), _odd_numbers),
    scalars.map(lambda told: {"stringValue": told}),
    st.builds(lambda kind, told: {kind: told}, st.sampled_from((*_AS, "bytesValue", "x")), values),
    st.lists(scalars, max_size=3).map(
        lambda told: {"arrayValue": {"values": [{"stringValue": each} for each in told]}}
    ),
    values,
)
"""An OTLP AnyValue, of the right shape or not."""


@st.composite
def changed(draw: st.DrawFn, made: Callable[[], Any], most: int = 4) -> Any:
    """A copy of a document in which up to ``most`` places are changed.

    Args:
        made: gives the document; what it gives is not changed.
    """
    document = copy.deepcopy(made())
    for _ in range(draw(st.integers(1, most))):
        holder, key = _place(draw, document)
        _change(draw, holder, key)
    return document


def _place(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    """A container in the document, and one of its keys; the deeper the likelier."""
    holder, key = [document], 0
    while True:
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 9)) == 0:
            return holder, key
        if isinstance(inner, dict) and "value" in inner and draw(st.booleans()):
            return inner, "value"  # of an attribute or a tag
        keys: Sequence[Any] = list(inner) if isinstance(inner, dict) else range(len(inner))
        holder, key = inner, draw(st.sampled_from(keys))


def _change(draw: st.DrawFn, holder: Any, key: Any) -> None:
    match draw(st.sampled_from(("put", "put", "value", "drop", "twice", "name", "other"))):
        case "put":
            holder[key] = draw(values)
        case "value":
            holder[key] = draw(any_values)
        case _ if key == "value":
            holder[key] = draw(st.one_of(any_values, values))
        case "drop":
            del holder[key]
        case "twice" if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        case "name" if isinstance(holder, dict):
            holder[draw(texts)] = holder.pop(key)
        case _:
            others: Sequence[Any] = list(holder) if isinstance(holder, dict) else range(len(holder))
            holder[key] = copy.deepcopy(holder[draw(st.sampled_from(others))])


def written(document: Any, deep: int = 900) -> str:
    """The document as JSON; what stands for something deep is that many arrays in each other."""
    text = json.dumps(document)
    return text.replace(f'"{_DEEP}"', "[" * deep + "]" * deep).replace(_DEEP, "deep")


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The text in bytes, now and then with some that do not belong there."""
    whole = text.encode("utf-8", "surrogatepass")
    how = draw(st.sampled_from(("", "", "", "", "insert", "cut", "crlf", "bom", "joined")))
    if how == "insert":
        at = draw(st.integers(0, len(whole)))
        odd = draw(st.sampled_from((b"\xff", b"\0", b"\xed\xa0\x80", b"\n", b'"', b"{", b"\xc3")))
        return whole[:at] + odd + whole[at:]
    if how == "cut":
        return whole[: draw(st.integers(0, len(whole)))]
    if how == "crlf":
        return whole.replace(b"\n", b"\r\n")
    if how == "bom":
        return b"\xef\xbb\xbf" + whole
    return whole.replace(b"\n", b" ", 1) if how == "joined" else whole
