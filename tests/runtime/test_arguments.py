"""Arguments by name: the quick way gives what ``inspect`` gives, whatever the call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentrace.runtime import arguments


def plain(a: Any, b: Any = 1, c: Any = 2) -> None: ...
def by_name_only(a: Any, *, b: Any = 1, c: Any) -> None: ...
def by_position(a: Any, b: Any, /, c: Any = 1) -> None: ...
def more(a: Any, *args: Any, b: Any = 1) -> None: ...
def rest(a: Any, b: Any = 1, **kwargs: Any) -> None: ...
def everything(a: Any, /, b: Any, *args: Any, c: Any = 1, **kwargs: Any) -> None: ...
def nothing() -> None: ...


class Host:
    def method(self, a: Any, b: Any = 1) -> None: ...


FUNCTIONS = (
    plain,
    by_name_only,
    by_position,
    more,
    rest,
    everything,
    nothing,
    Host.method,
    Host().method,
)


def as_inspect_says(
    function: Callable[..., None], args: list[int], kwargs: dict[str, int]
) -> dict[str, Any]:
    signature = inspect.signature(getattr(function, "__func__", function))
    owner = getattr(function, "__self__", None)
    try:
        given_ = [*([] if owner is None else [owner]), *args]
        bound = dict(signature.bind_partial(*given_, **kwargs).arguments)
    except TypeError:
        bound = dict(kwargs)
    rest: Any = bound.get("kwargs", {})
    return {**bound, **rest}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@given(
    args=st.lists(st.integers(0, 9), max_size=4),
    kwargs=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9), max_size=3),
)
def test_as_inspect_says(
    function: Callable[..., None], args: list[int], kwargs: dict[str, int]
) -> None:
    assert arguments.by_name(function, args, kwargs) == as_inspect_says(function, args, kwargs)


def test_what_has_no_signature_has_its_names_alone() -> None:
    assert arguments.by_name(dict.fromkeys, [1], {"a": 2}) in ({"a": 2}, {"iterable": 1, "a": 2})
    assert arguments.by_name(object(), [1], {"a": 2}) == {"a": 2}
