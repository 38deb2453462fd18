"""The planted host with its scrubbing off: `unscrubbed:app`, `unscrubbed.WorkerSettings`."""

from __future__ import annotations

from typing import Any

import planted

from gentrace.core.scrub import Scrubber


def as_it_is(_self: Any, *texts: Any) -> Any:
    """Of a name and a value, or of a text and its prompts, what would have been scrubbed."""
    return texts[-1]


def the_text(_self: Any, text: str, *_prompts: Any) -> str:
    """The text."""
    return text


scrubber: Any = Scrubber
scrubber.attribute = scrubber.on_event = scrubber.mark = as_it_is
scrubber.text = scrubber.without_prompts = the_text
app, WorkerSettings = planted.app, planted.WorkerSettings
