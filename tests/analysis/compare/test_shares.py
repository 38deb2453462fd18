"""The parts that times have in a difference: shares of a positive whole, or none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentrace.analysis.compare import summary
from gentrace.analysis.compare.model import Group
from gentrace.core.times import State
from gentrace.report import groups

MEANS = st.dictionaries(
    st.sampled_from([state.value for state in State]),
    st.floats(0, 1e6, allow_nan=False) | st.just(0.0),
)


def group(times: dict[str, float]) -> Group:
    every = {state.value: times.get(state.value, 0.0) for state in State}
    return Group("x", 9, 9, 0, 1.0, 2.0, times=every, medians=every)


def test_a_difference_that_others_take_back_is_not_told_in_thousands_of_per_cent() -> None:
    a, b = {"queue": 15.0, "provider_run": 1.0, "worker": 2.0}, {"queue": 1.0, "provider_run": 16.0}
    found = summary.times(group(a), group(b))
    assert {name: each.share for name, each in found.items()} == {
        "queue": pytest.approx(14 / 16),
        "worker": pytest.approx(2 / 16),
        "provider_run": None,
    }
    assert [groups.share(each) for each in found.values()] == ["", "88 %", "12 %"]


@given(MEANS, MEANS)
def test_shares_are_shares(a: dict[str, float], b: dict[str, float]) -> None:
    found = summary.times(group(a), group(b)).values()
    shares = [each.share for each in found if each.share is not None]
    assert all(0 <= share <= 1 for share in shares)
    assert not shares or sum(shares) == pytest.approx(1)
    for each in found:
        assert re.fullmatch(r"|<1 %|\d{1,2} %|100 %", groups.share(each))


@given(MEANS, MEANS)
def test_it_does_not_matter_which_side_is_named_first(
    a: dict[str, float], b: dict[str, float]
) -> None:
    one, other = summary.times(group(a), group(b)), summary.times(group(b), group(a))
    assert {name: each.share for name, each in one.items()} == {
        name: each.share for name, each in other.items()
    }
