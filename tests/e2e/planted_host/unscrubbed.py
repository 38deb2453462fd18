"""The planted host with its scrubbing off: `unscrubbed:app`, `unscrubbed.WorkerSettings`."""

from __future__ import annotations

from typing import Any

import planted

from gentrace.core.scrub import Scrubber


def as_it_is(_self: Any, *texts: Any) -> Any:
    """Of a name and a value what would have been scrubbed, without the prompts behind them."""
    given = list(texts)
    if len(given) > 2 and isinstance(given[-1], tuple):
        given.pop()
    return given[-1]


def the_text(_self: Any, text: str, *_prompts: Any) -> str:
    """The text."""
    return text


scrubber: Any = Scrubber
scrubber.attribute = scrubber.on_event = scrubber.mark = scrubber.of_resource = as_it_is
scrubber.text = scrubber.record = scrubber.line = the_text
app, WorkerSettings = planted.app, planted.WorkerSettings
