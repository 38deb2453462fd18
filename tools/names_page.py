"""Writes docs/names.md from gentrace/core/names.py: ``python -m tools.names_page``."""

from __future__ import annotations

from pathlib import Path

from gentrace.core import names

PAGE = Path(__file__).parent.parent / "docs" / "names.md"


def page() -> str:
    """The reference page of every span and attribute name."""
    lines = [
        "# Span and attribute names",
        "",
        "Generated from `gentrace/core/names.py` by `python -m tools.names_page`.",
        "",
        "## Spans",
        "",
        "| name | kind | covers |",
        "|---|---|---|",
        *(
            f"| `{_shown(span.name)}` | {span.kind} | {span.meaning} |"
            for span in names.SPANS.values()
        ),
        "| `<provider>.<method>` | INTERNAL | a method of the provider's adapter |",
        "| `<function>` | CONSUMER | another ARQ function in a generation's run |",
        "",
        "HTTP spans keep the names of the OpenTelemetry instrumentations. A statement of SQL is",
        "named after its operation and table (`SELECT generations`), a connection `connect`.",
        "",
        "## Attributes",
        "",
        "| name | type | on | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{item.name}` | {item.type} | {item.on} | {item.meaning} |"
            for item in names.ATTRIBUTES.values()
        ),
        "",
        "## Events",
        "",
        "| name | on | carries |",
        "|---|---|---|",
        f"| `{names.EVENT_STATUS}` | the span at work | the status that was set |",
        f"| `{names.EVENT_PROVIDER_STATUS}` | `provider.poll` | the provider's status, as read |",
        f"| `{names.EVENT_CACHE}` | `create_generation` | the cache write, and its error if any |",
        f"| `{names.EVENT_ACCOUNT_RELEASED}` | the span at work | the account's id |",
        "| the host's log events | the span at work | the fields that the profile lists |",
        "",
    ]
    return "\n".join(lines)


def _shown(name: str) -> str:
    return name + "<function>" if name.endswith(" ") else name


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
