"""The host's W3C baggage on its way with a job: bounded, whole entries, and no further.

In the job it is there for ``opentelemetry.baggage``; requests that the job makes do not get it,
whoever instruments them, and no span carries it. What the host sets itself is the host's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote_plus

from opentelemetry import baggage, propagate
from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator

from gentrace.runtime import notices
from gentrace.runtime.engine import Engine

HEADER = "baggage"
MAX_BYTES = 4096
MAX_ENTRIES = 64
# One list-member as W3C writes it; the propagator logs a line for each that is not.
_ENTRY = re.compile(
    r"[\x21\x23-\x27*+\-.0-9A-Z^_`a-z|~]+[ \t]*=[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e \t]*"
)
_ARRIVED = otel_context.create_key("gentrace.baggage")
_packing: ContextVar[bool] = ContextVar("gentrace.baggage.packing", default=False)

Context = otel_context.Context


def capped(context: Context) -> Context:
    """The context with no more baggage than a job carries: the first entries that fit, whole."""
    held = baggage.get_all(context)
    kept: dict[str, object] = {}
    room = MAX_BYTES
    for name, value in held.items():
        length = len(quote_plus(str(name))) + len(quote_plus(str(value))) + 2
        if length <= room and len(kept) < MAX_ENTRIES:
            kept[name] = value
            room -= length
    if len(kept) == len(held):
        return context
    notices.say_once(
        "baggage",
        f"of {len(held)} baggage entries {len(kept)} travel with the job "
        f"(at most {MAX_ENTRIES}, {MAX_BYTES} bytes)",
    )
    return _with(kept, baggage.clear(context))


def arrived(fields: Mapping[str, str]) -> Context:
    """A fresh context with the baggage that a job brought, as the propagators read it."""
    well_formed = dict(fields)
    if HEADER in fields:
        entries = [entry.strip(" \t") for entry in fields[HEADER].split(",")]
        well_formed[HEADER] = ",".join(entry for entry in entries if _ENTRY.fullmatch(entry))
    found: Any = propagate.extract(well_formed, context=Context())
    entries_found = baggage.get_all(capped(found or Context()))
    if not entries_found:
        return Context()
    context = _with(entries_found, Context())
    return otel_context.set_value(_ARRIVED, dict(entries_found), context)


def _with(entries: Mapping[str, object], context: Context) -> Context:
    for name, value in entries.items():
        context = baggage.set_baggage(name, value, context)
    return context


@contextmanager
def packing() -> Generator[None]:
    """What is injected in here goes into a job, which may have it all."""
    token = _packing.set(True)
    try:
        yield
    finally:
        _packing.reset(token)


def hold_back(engine: Engine) -> None:
    """Keep what came with a job off every request, also where the host instruments its clients.

    Without us that baggage would not be in the worker at all, so no propagator may send it on.
    """
    guard = engine.guard("baggage")

    def inject(
        wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if _packing.get() or guard.off:
            return wrapped(*args, **kwargs)
        try:
            args, kwargs = _without_arrived(args, kwargs)
        except Exception as exc:
            guard.failed(exc)
        return wrapped(*args, **kwargs)

    classes = {W3CBaggagePropagator, CompositePropagator, type(propagate.get_global_textmap())}
    for cls in sorted(classes, key=lambda each: each.__qualname__):
        engine.replace(cls, "inject", inject)


def _without_arrived(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a propagator's ``inject`` (carrier, context, setter), less that baggage."""
    given = args[1] if len(args) > 1 else kwargs.get("context")
    context = otel_context.get_current() if given is None else given
    came: Any = otel_context.get_value(_ARRIVED, context)
    if not came:
        return args, kwargs
    for name, value in came.items():
        if baggage.get_baggage(name, context) == value:
            context = baggage.remove_baggage(name, context)
    if len(args) > 1:
        return (args[0], context, *args[2:]), kwargs
    return args, {**kwargs, "context": context}
