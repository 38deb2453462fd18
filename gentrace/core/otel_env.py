"""OpenTelemetry's own variables, as far as a mistake in them must be told before it is met.

The SDK and the exporters read most of them themselves, and log, raise or fail later where one
cannot be meant. Each mistake becomes one sentence here, and never quotes a header.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
_LONGEST_TIMEOUT_S = 30.0
PROTOCOLS = ("http/protobuf", "grpc")
COMPRESSIONS = ("none", "gzip", "deflate")
SAMPLERS = (
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "always_on",
    "always_off",
    "traceidratio",
)
_LONGEST_SHOWN = 60


def endpoint(env: Mapping[str, str], protocol: str, problems: list[str]) -> str:
    """The OTLP endpoint; empty where none is set or what is set is no address."""
    name, given = _first(env, _both("ENDPOINT"))
    if not given:
        return ""
    if _is_address(given, any_scheme=protocol == "grpc"):
        return given
    said = without_password(given)
    bare = "/" not in said and ":" in said and _is_address(f"http://{said}")
    remedy = f"; did you mean http://{said}?" if bare else ""
    problems.append(
        f"{name}={shown(said)} is no URL such as http://localhost:4318{remedy}; "
        "spans go to the spool"
    )
    return ""


def _is_address(given: str, *, any_scheme: bool = False) -> bool:
    """A URL of HTTP; or, for gRPC, which knows ``host:port`` and more, any word."""
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        return False
    if any(c.isspace() for c in given) or port == 0:
        return False
    return any_scheme or (parts.scheme in ("http", "https") and bool(parts.hostname))


def without_password(url: str) -> str:
    """The URL without the name and the password that may stand in it."""
    scheme, slashes, rest = url.rpartition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def protocol(env: Mapping[str, str], problems: list[str]) -> str:
    """``http/protobuf`` or ``grpc``."""
    return word(env, _both("PROTOCOL"), PROTOCOLS, problems)


def compression(env: Mapping[str, str], problems: list[str]) -> str:
    """``none``, ``gzip`` or ``deflate``."""
    return word(env, _both("COMPRESSION"), COMPRESSIONS, problems)


def conventions(env: Mapping[str, str]) -> frozenset[str]:
    """The stable conventions that are asked for; read as OpenTelemetry's instrumentations do."""
    given = env.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
    return frozenset(filter(None, (one.strip() for one in given)))


def timeout_s(env: Mapping[str, str], problems: list[str]) -> float:
    """How long an export may take, in seconds; see :class:`gentrace.core.settings.Settings`."""
    name, given = _first(env, _both("TIMEOUT"))
    try:
        value = float(given or TIMEOUT_S)
    except ValueError:
        value = 0.0
    if value > 0 and math.isfinite(value):
        return min(value, _LONGEST_TIMEOUT_S)
    problems.append(f"{name}={shown(given)} is no number of seconds; {TIMEOUT_S:g} is used")
    return TIMEOUT_S


def problems(env: Mapping[str, str]) -> list[str]:
    """Mistakes in what only the SDK and the exporters read."""
    found: list[str] = []
    sampler = word(env, ("OTEL_TRACES_SAMPLER",), SAMPLERS, found)
    share = env.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    if sampler.endswith("traceidratio") and not _is_share(share):
        found.append(
            f"OTEL_TRACES_SAMPLER_ARG={shown(share)} is no share from 0 to 1; every trace is kept"
        )
    for name, effect in (
        ("OTEL_RESOURCE_ATTRIBUTES", "left out"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "not sent"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "not sent"),
    ):
        parts = [part.strip() for part in env.get(name, "").split(",")]
        wrong = sum(bool(part) and not part.partition("=")[1] for part in parts)
        if wrong:
            found.append(f"{name}: {wrong} of its parts is not name=value and is {effect}")
    return found


def word(
    env: Mapping[str, str], spellings: Sequence[str], known: Sequence[str], problems: list[str]
) -> str:
    """The variable's word; the first of the known ones where it is unset or none of them."""
    name, given = _first(env, spellings)
    if given.lower() in known:
        return given.lower()
    if given:
        problems.append(
            f"{name}={shown(given)} is not known here ({', '.join(known)}); {known[0]} is used"
        )
    return known[0]


def shown(value: str) -> str:
    """A value as it may stand in a line: quoted, on one line, and not long."""
    return repr(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}...")


def _both(what: str) -> tuple[str, str]:
    """The signal's own variable, which wins, and the one for all signals."""
    return f"OTEL_EXPORTER_OTLP_TRACES_{what}", f"OTEL_EXPORTER_OTLP_{what}"


def _first(env: Mapping[str, str], spellings: Sequence[str]) -> tuple[str, str]:
    for name in spellings:
        given = env.get(name, "")
        if given.strip():
            return name, given.strip()
    return spellings[-1], ""


def _is_share(text: str) -> bool:
    try:
        return 0.0 <= float(text) <= 1.0
    except ValueError:
        return False
