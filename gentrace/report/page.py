"""Self-contained HTML pages: one file, no network, readable in light and dark and on paper.

What a host wrote is hostile: everything is escaped, every character is made visible, and the
page's own policy lets a browser load nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gentrace import __version__
from gentrace.core.run.times import State
from gentrace.report import words
from gentrace.report.visible import visible

_WAITS = frozenset({State.QUEUE, State.ACCOUNT_WAIT, State.RETRY_WAIT, State.HOLD})


def render(template: str, context: Mapping[str, Any]) -> str:
    """A page from one of the templates beside this module."""
    return _environment().get_template(template).render(version=__version__, **context)


def state_class(state: str | None) -> str:
    """The CSS classes of a state's colour; waits are hatched, too."""
    if state is None:
        return "s-none"
    return f"s-{state} wait" if state in _WAITS else f"s-{state}"


def percent(part: float, whole: float) -> float:
    """A share of an axis for CSS, within it."""
    return round(max(0.0, min(100.0, 100 * part / whole)), 3) if whole else 0.0


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gentrace.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    environment.filters |= {
        "duration": words.duration,
        "signed": words.signed,
        "moment": words.moment,
        "state": state_class,
    }
    return environment


def _plain(value: Any) -> Any:
    return visible(value) if type(value) is str else value
