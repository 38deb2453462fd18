"""The measure is a rule set that others keep: what detect-secrets knows as a secret goes.

Its detectors' own patterns make the examples. Left aside are the two of high entropy (ids, digests
and revisions are as random as keys are, and a trace is of no use without them) and the one of
public addresses: a trace names the servers that it went to.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import Any

import detect_secrets.plugins
import pytest
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gentrace.core.scrub import Scrubber
from tests.support.planted_secrets import FORMS

SCRUBBER = Scrubber(b"the installation's key")
ASIDE = {
    *("Base64HighEntropyString", "HexHighEntropyString", "HighEntropyStringsPlugin"),
    "IPPublicDetector",
}
BASES = {"BasePlugin", "RegexBasedDetector"}
HAS_DIGIT = re.compile(r"\d")


def detectors() -> dict[str, Any]:
    """Every detector that comes with it."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(detect_secrets.plugins.__path__):
        members = vars(importlib.import_module(f"detect_secrets.plugins.{module.name}"))
        for name, cls in members.items():
            if inspect.isclass(cls) and issubclass(cls, BasePlugin) and name not in BASES | ASIDE:
                found[name] = cls()
    return found


DETECTORS = detectors()
PATTERNS = [
    pytest.param(name, pattern, id=f"{name}-{number}")
    for name, detector in DETECTORS.items()
    if isinstance(detector, RegexBasedDetector)
    for number, pattern in enumerate(detector.denylist)
]
# IBM's finds a name only, and looks for what follows in its own method.
IBM = "IbmCloudIamDetector"
VALUES = st.text("abcdefghijABCDEFGHIJ0123456789", min_size=44, max_size=44)


def secrets_in(name: str, text: str) -> list[str]:
    """What the detector calls a secret in a text."""
    found = DETECTORS[name].analyze_string(text)
    return [each for each in (e[0] if isinstance(e, tuple) else e for e in found) if each]


def test_every_detector_is_tried() -> None:
    assert len(DETECTORS) >= 20
    tried = {str(parameters.values[0]) for parameters in PATTERNS} | {"KeywordDetector"}
    assert tried == set(DETECTORS)


@pytest.mark.parametrize(("name", "pattern"), PATTERNS)
@given(st.data())
@settings(
    max_examples=25,
    derandomize=True,
    phases=[Phase.generate],  # a minimal example of a key tells nothing more
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    deadline=None,
)
def test_its_own_examples_go(name: str, pattern: re.Pattern[str], data: Any) -> None:
    # What a service makes is ASCII, whatever \w says, and begins as it does, in small letters.
    flags = pattern.flags & ~re.UNICODE | re.ASCII
    if name == "SlackDetector":
        flags &= ~re.IGNORECASE
    ascii_only = re.compile(pattern.pattern, flags)
    text: str = data.draw(st.from_regex(ascii_only, fullmatch=True))
    if name == IBM:
        text = f'{text}="{data.draw(VALUES)}"'
    secrets = [each for each in secrets_in(name, text) if len(each) >= 11]
    if name == "ArtifactoryDetector" and not HAS_DIGIT.search(text):
        return  # a name of words, such as APDecoderError, has the same shape
    for form in ("as it is", "quoted", "json"):
        left = SCRUBBER.text(FORMS[form](text))
        assert [each for each in secrets if each in left] == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("between", ["=", ": ", " := ", ' = "', "': '", '": "', " => ", " == '"])
def test_what_its_keywords_name_goes(form: str, between: str) -> None:
    from detect_secrets.plugins import keyword

    close = between[-1] if between[-1] in "\"'" else ""
    for word in keyword.DENYLIST:
        name = re.sub(r"_\?|\?", "_", word).replace("__", "_")
        for named in {name, name.upper(), f"my_{name}", name.replace("_", ""), "x" + name}:
            text = f"so {named}{between}m4rm4l4deWolf{close} more"
            assert "m4rm4l4de" not in SCRUBBER.text(FORMS[form](text)).lower(), text
