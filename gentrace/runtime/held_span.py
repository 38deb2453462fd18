"""A span that is not made yet: it keeps what a library tells until it is known to be worth one.

What its end decides is for the subclasses.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import Span


class HeldSpan(Span):
    """Takes a name and attributes; events, links, status and exceptions are for who wants them."""

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self._name, self._attributes, self._over = name, attributes, False

    def is_recording(self) -> bool:
        return not self._over

    def set_attribute(self, key: str, value: Any) -> None:
        self._attributes[key] = value

    def set_attributes(self, attributes: Any) -> None:
        self._attributes.update(attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        return

    def add_link(self, context: Any, attributes: Any = None) -> None:
        return

    def update_name(self, name: str) -> None:
        self._name = name

    def set_status(self, status: Any, description: str | None = None) -> None:
        return
