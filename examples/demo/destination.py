"""Where the demo's spans go: its own spool, an OTLP endpoint, or a Jaeger started for it."""

import json
import os
import socket
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from examples.demo.children import DemoFailed

JAEGER_UI, OTLP_HTTP = 16686, 4318
FOUND_S, HOUR_US = 15, 3_600_000_000
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Destination:
    """`tracing` is the environment of the traced processes; `jaeger` where one answers, or ''."""

    words: str
    tracing: Mapping[str, str]
    spool: Path | None = None
    jaeger: str = ""
    since_us: int = field(default_factory=lambda: time.time_ns() // 1000)

    def search_url(self, generation_id: str) -> str:
        """Jaeger's search for one of the demo's generations; in its API where it has no page."""
        path = "search" if _has_page(self.jaeger) else "api/traces"
        return f"{self.jaeger}/{path}?{self._query(generation_id)}"

    def trace_url(self, trace_id: str) -> str:
        """One trace, as `search_url`."""
        path = "trace" if _has_page(self.jaeger) else "api/traces"
        return f"{self.jaeger}/{path}/{trace_id}"

    def trace_ids(self, generation_id: str) -> list[str]:
        """The traces that Jaeger has of it; waits for the first."""
        end = time.monotonic() + FOUND_S
        while True:
            found = _get(f"{self.jaeger}/api/traces?{self._query(generation_id)}")
            if found["data"] or time.monotonic() > end:
                return [trace["traceID"] for trace in found["data"]]
            time.sleep(0.3)

    def _query(self, generation_id: str) -> str:
        tags = quote(json.dumps({"generation.id": generation_id}, separators=(",", ":")))
        window = f"lookback=custom&start={self.since_us}&end={self.since_us + HOUR_US}"
        return f"service=pixsim7-api&tags={tags}&{window}"


def spool(place: Path) -> Destination:
    """A spool in the demo's folder."""
    tracing = _own(place)
    return Destination(f"the spool {tracing['GENTRACE_SPOOL']}", tracing, place / "spool")


def exported(place: Path) -> Destination | None:
    """The endpoint that the standard variables name, with all that they say; None without."""
    given = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    endpoint = next((given[name] for name in ENDPOINTS if given.get(name)), "")
    return otlp(place, endpoint, _jaeger_beside(endpoint), given) if endpoint else None


def jaeger(place: Path, url: str) -> Destination:
    """A Jaeger's page, with OTLP on its usual port, or an OTLP endpoint."""
    parts = _parts(url)
    endpoint = parts.geturl().rstrip("/")
    if parts.port == JAEGER_UI:
        endpoint = f"{parts.scheme}://{parts.hostname}:{OTLP_HTTP}"
    return otlp(place, endpoint, _jaeger_beside(endpoint))


def otlp(
    place: Path, endpoint: str, jaeger: str, given: Mapping[str, str] | None = None
) -> Destination:
    """An OTLP endpoint, which must listen; `given` are more of the standard variables."""
    parts = _parts(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as error:
        raise DemoFailed(
            f"nothing listens at the OTLP endpoint {endpoint} ({error.strerror or error}). Start "
            "a Jaeger or Collector there, or leave it out: then spans go to a folder"
        ) from None
    standard = given or {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    return Destination(endpoint, {**standard, **_own(place)}, jaeger=jaeger)


def _own(place: Path) -> dict[str, str]:
    return {"GENTRACE": "1", "GENTRACE_SPOOL": str(place / "spool")}


def _parts(url: str) -> Any:
    return urlsplit(url if "://" in url else f"http://{url}")


def _jaeger_beside(endpoint: str) -> str:
    """A Jaeger on the endpoint's machine, on its usual port, or an empty string."""
    jaeger = f"http://{_parts(endpoint).hostname}:{JAEGER_UI}"
    try:
        _get(f"{jaeger}/api/services")
    except (OSError, ValueError):
        return ""
    return jaeger


@cache
def _has_page(jaeger: str) -> bool:
    """A Jaeger built from its Go module alone answers, but has a placeholder for a page."""
    try:
        with _OPENER.open(jaeger, timeout=5) as response:
            return b"not the Jaeger UI" not in response.read()
    except OSError:
        return False


def _get(url: str) -> Any:
    with _OPENER.open(url, timeout=5) as response:
        return json.load(response)
