"""The part of a profile that says what of the host's logs belongs on a span."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentrace.core import settings
from gentrace.core.errors import ProfileError
from gentrace.core.host_logs import LogEvent, beginning, fields_by_name, pattern
from gentrace.core.profile import load, parse

SHOP = 'name = "shop"\npackages = ["shop"]\ntargets = []\n'


def test_the_shipped_profile_has_every_event_once() -> None:
    profile, _ = load("pixsim7")
    names = [name for event in profile.log_events for name in event.names]
    assert len(names) == len(set(names)) > 50
    assert {"generation_processing_started", "provider:submit", "provider:error"} <= set(names)
    assert [sdk.module for sdk in profile.sdks] == ["pixverse", "sora"]


def test_a_sentence_gives_its_fields() -> None:
    text = "Order {id} (of {shop}) queued."
    assert beginning(text) == "Order "
    found = pattern(text).match("Order 7 (of a) queued. And more.")
    assert found is not None
    assert found.groupdict() == {"id": "7", "shop": "a"}
    assert pattern(text).match("Order 7 (of a b) queued.") is None
    assert pattern("[x] Done").match("[x] Done at last") is not None


def test_events_of_one_name_add_their_fields() -> None:
    events = (LogEvent(("a", "b"), fields=("x",)), LogEvent(("b",), fields=("y",)))
    assert fields_by_name(events) == {"a": {"x"}, "b": {"x", "y"}}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("names = []", "log_events[0]: names: a name is needed"),
        ('names = ["a", "b"]\ntext = ["A {x}"]', "log_events[0]: text: goes with one name"),
        ('names = ["a"]\ntext = ["{x} is a"]', "must begin with words of its own"),
        ('names = ["a"]\nfields = ["x"]\npause = "y"', "pause: 'y' is none of its fields"),
        ('fields = ["x"]', "missing 'names'"),
        ('names = ["a"]\nfeilds = ["x"]', "unknown key 'feilds'; did you mean 'fields'?"),
    ],
)
def test_mistakes_are_said(event: str, said: str) -> None:
    with pytest.raises(ProfileError) as error:
        parse(f"{SHOP}[[log_events]]\n{event}\n", "shop.toml")
    assert said in str(error.value)


@pytest.mark.parametrize(("given", "on"), [("", True), ("on", True), ("OFF", False)])
def test_the_switch(tmp_path: Path, given: str, on: bool) -> None:
    env = {"GENTRACE_SPOOL": str(tmp_path), "GENTRACE_LOGS": given}
    assert settings.read(env).logs is on
