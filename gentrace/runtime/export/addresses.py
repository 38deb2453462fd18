"""The addresses that a tracer provider sends OTLP to, and the one that the variables name.

Source: ``OTLPSpanExporter._endpoint`` of opentelemetry-exporter-otlp-proto-http and -grpc 1.20 to
1.45. Processors and exporters keep what they wrap under names of their own: all attributes that
take spans are looked through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gentrace.core import otel_env

_EXPORTER = "OTLPSpanExporter"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})
_PORTS = {"https": 443, "http": 80}
_PATH = "/v1/traces"
_DEEPEST, _MOST = 16, 500
_TAKES_SPANS = ("on_end", "emit", "export")


class Address(NamedTuple):
    """Where OTLP is sent to; ``path`` is empty for gRPC, which has none."""

    host: str
    port: int
    path: str = ""

    def is_at(self, other: Address) -> bool:
        """Whether both are one server's one entrance."""
        paths_differ = self.path and other.path and self.path != other.path
        return (self.host, self.port) == (other.host, other.port) and not paths_differ

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.path}"


def named(env: Mapping[str, str]) -> list[Address]:
    """The address that OTEL_EXPORTER_OTLP_* names; none where they name none.

    OTEL_TRACES_EXPORTER=otlp without an endpoint (opentelemetry-instrument sets that itself) means
    OpenTelemetry's default, which is one of two where no protocol is named.
    """
    protocol = otel_env.protocol(env, [])
    given = otel_env.endpoint(env, protocol, [])
    if given:
        own = bool(env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip())
        address = _of_url(given, protocol == "grpc", "" if own else _PATH)
        return [] if address is None else [address]
    exporters = {word.strip() for word in env.get("OTEL_TRACES_EXPORTER", "").split(",")}
    if exporters.isdisjoint({"otlp", "otlp_proto_grpc", "otlp_proto_http"}):
        return []
    return [Address("localhost", 4317), Address("localhost", 4318, _PATH)]


def sent_to(provider: Any) -> list[Address]:
    """Where the provider's own exporters send OTLP."""
    found = (_of_exporter(each) for each in _exporters(provider))
    return [address for address in found if address is not None]


def _of_exporter(exporter: Any) -> Address | None:
    endpoint = getattr(exporter, "_endpoint", None)
    if not isinstance(endpoint, str):
        return None
    return _of_url(endpoint, grpc=".grpc." in f".{type(exporter).__module__}.")


def _of_url(url: str, grpc: bool, more: str = "") -> Address | None:
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if port is None:
        port = 443 if grpc else _PORTS.get(parts.scheme, 80)  # as gRPC and requests have it
    path = "" if grpc else f"{parts.path.rstrip('/')}{more}"
    return Address("localhost" if host in _LOOPBACK else host, port, path) if host else None


def _exporters(provider: Any) -> Iterator[Any]:
    """Every exporter of OTLP that the provider's processors lead to, each once."""
    seen: set[int] = set()
    level = [getattr(provider, "_active_span_processor", None)]
    for _ in range(_DEEPEST):
        following: list[Any] = []
        for each in level:
            if each is None or id(each) in seen or len(seen) >= _MOST:
                continue
            seen.add(id(each))
            if any(cls.__name__ == _EXPORTER for cls in type(each).__mro__):
                yield each
            else:
                held = each if isinstance(each, tuple | list) else _attributes(each)
                following += [value for value in held if _leads_on(value)]
        level = following


def _attributes(each: Any) -> list[Any]:
    held = list(getattr(each, "__dict__", {}).values())
    slots = (s for cls in type(each).__mro__ for s in getattr(cls, "__slots__", ()))
    return held + [getattr(each, slot, None) for slot in slots if isinstance(slot, str)]


def _leads_on(value: Any) -> bool:
    """Whether it is a processor, an exporter or some of them, whatever its name."""
    if isinstance(value, tuple | list):
        return True
    return any(callable(getattr(type(value), method, None)) for method in _TAKES_SPANS)
