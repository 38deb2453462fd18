"""Where our spans go: to our own exporter, to the host's tracer provider, or to both.

The rule, first match first: ``GENTRACE_PROVIDER``; the host's provider, where it sends OTLP to the
address that OTEL_EXPORTER_OTLP_* names; our own exporter, to the endpoint that is set, else to the
spool. So a provider that the host has for something else takes nothing of ours away, and no span
reaches one address twice.

Source: ``opentelemetry.trace._TRACER_PROVIDER``, opentelemetry-api 1.20 to 1.45. Its function
``get_tracer_provider`` would make one where OTEL_PYTHON_TRACER_PROVIDER is set: that is the host's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from gentrace.core.settings import BOTH, HOST, OWN, Settings
from gentrace.runtime.export import addresses

_NESTED = 2
_IDLE = (trace.NoOpTracerProvider, trace.ProxyTracerProvider)


@dataclass(frozen=True, slots=True)
class Place:
    """What was decided.

    Attributes:
        where: ``own``, ``host`` or ``both``.
        why: the reason, in words.
        host: the host's SDK provider; None where it has none.
        apart: ours go somewhere where the host's spans do not, or the other way round: neither
            may hang under the other.
    """

    where: str
    why: str
    host: TracerProvider | None = None
    apart: bool = False

    @property
    def takes(self) -> TracerProvider | None:
        """The host's provider where it gets our spans."""
        return None if self.where == OWN else self.host


def found() -> Any:
    """The tracer provider that somebody has set, as it is; None where nobody has."""
    return getattr(trace, "_TRACER_PROVIDER", None)


def acting(provider: Any) -> Any:
    """That provider; None where it is one that makes no spans."""
    if provider is None or type(provider) is TracerProvider:
        return provider  # at once: a span is started every time this is asked
    return None if isinstance(provider, _IDLE) else provider


def sdk(provider: Any, nested: int = _NESTED) -> TracerProvider | None:
    """The SDK's provider that it is, or that it stands in front of (as logfire's does)."""
    if isinstance(provider, TracerProvider):
        return provider
    if provider is None or nested == 0:
        return None
    for held in getattr(provider, "__dict__", {}).values():
        if isinstance(held, trace.TracerProvider) and (found := sdk(held, nested - 1)) is not None:
            return found
    return None


def choose(provider: Any, settings: Settings, environ: Mapping[str, str] | None = None) -> Place:
    """The place that the rule gives beside that provider of the host's."""
    env = os.environ if environ is None else environ
    if provider is None:
        return Place(OWN, _although(settings.provider, "the host has set no tracer provider"))
    host = sdk(provider)
    if host is None:
        return _beside(provider, settings.provider)
    wanted = addresses.named(env)
    sent = addresses.sent_to(host)
    same = next((one for one in sent if any(one.is_at(other) for other in wanted)), None)
    if settings.provider:
        return _as_asked(settings, host, same)
    if same is not None:
        why = f"the host's tracer provider sends to {same}, the address that OTEL_* names"
        return Place(HOST, why, host)
    to = f"sends to {sent[0]}" if sent else "sends no OTLP"
    return Place(OWN, f"the host's tracer provider {to}, and OTEL_* does not name that", host, True)


def _although(asked: str, why: str) -> str:
    return f"GENTRACE_PROVIDER={asked}, but {why}" if asked in (HOST, BOTH) else why


def _beside(provider: Any, asked: str) -> Place:
    kind = f"{type(provider).__module__}.{type(provider).__qualname__}"
    why = f"the host's tracer provider ({kind}) takes no spans of others"
    return Place(OWN, _although(asked, why), None, apart=True)


def _as_asked(settings: Settings, host: TracerProvider, same: addresses.Address | None) -> Place:
    why = f"GENTRACE_PROVIDER={settings.provider}"
    if settings.provider == BOTH and same is not None and settings.endpoint:
        return Place(HOST, f"{why}, and the host's tracer provider sends to {same} itself", host)
    return Place(settings.provider, why, host, apart=settings.provider != HOST)
