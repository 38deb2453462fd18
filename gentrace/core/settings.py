"""The environment, read in one place: what each variable means and its default.

``OTEL_*`` variables keep the meaning that OpenTelemetry gives them; those that the SDK and the
exporters read themselves are not repeated here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from gentrace.core import otel_env
from gentrace.core.switch import profile_name

OWN, HOST, BOTH = "own", "host", "both"
_OFF = frozenset({"off", "0", "false", "no"})
_MOST = 10**9  # more than anybody means, and less than any clock or counter holds


@dataclass(frozen=True, slots=True)
class Settings:
    """What the runtime was told, with defaults filled in.

    Attributes:
        profile: ``GENTRACE_PROFILE``: a shipped name, an entry point's name or a TOML file.
        spool: ``GENTRACE_SPOOL``: the spool's folder; the per-user state folder otherwise.
        spool_max_bytes: ``GENTRACE_SPOOL_MAX_MB`` (MiB there), over all segments; 256 MiB.
        spool_max_age_s: ``GENTRACE_SPOOL_MAX_DAYS`` (days there); 7 days.
        redis_url: ``GENTRACE_REDIS_URL``: the run store, where ARQ's own Redis is not wanted.
        environment: ``GENTRACE_ENVIRONMENT``, else ``deployment.environment.name`` of
            ``OTEL_RESOURCE_ATTRIBUTES``: follows the profile in the run store's keys, so that two
            environments on one Redis never meet; empty where neither is set.
        sql: ``GENTRACE_SQL``: ``spans``, ``slow`` (spans for slow and failing statements only) or
            ``off``.
        logs: not ``GENTRACE_LOGS=off``: ids on the host's log records, its events on spans.
        provider: ``GENTRACE_PROVIDER``: ``own``, ``host`` or ``both``; empty where the rule decides
            (runtime/export/place.py).
        endpoint: an OTLP endpoint is set, so spans go there and not to the spool; empty where it
            is no address.
        protocol: ``http/protobuf`` (default) or ``grpc``.
        compression: ``none`` (default), ``gzip`` or, over HTTP, ``deflate``.
        export_timeout_s: ``OTEL_EXPORTER_OTLP_TIMEOUT`` (seconds, as OpenTelemetry's exporters for
            Python read it); 10, and at most 30: a batch that hangs for longer costs others.
        service_name: ``OTEL_SERVICE_NAME``; wins over ``<profile>-<role>``.
        schedule_delay_ms: ``OTEL_BSP_SCHEDULE_DELAY``; 1000 here.
        max_queue: ``OTEL_BSP_MAX_QUEUE_SIZE``; 8192 here.
        max_batch: ``OTEL_BSP_MAX_EXPORT_BATCH_SIZE``; 512.
        conventions: ``OTEL_SEMCONV_STABILITY_OPT_IN``: ``database``, ``http/dup`` and so on, for
            spans of SQL. OpenTelemetry's own instrumentations read it themselves.
        problems: a sentence for each variable whose value cannot be meant.
    """

    profile: str
    spool: Path
    spool_max_bytes: int
    spool_max_age_s: int
    redis_url: str
    sql: str
    logs: bool
    endpoint: str
    protocol: str
    service_name: str
    schedule_delay_ms: int
    max_queue: int
    max_batch: int
    compression: str = "none"
    export_timeout_s: float = otel_env.TIMEOUT_S
    conventions: frozenset[str] = frozenset()
    provider: str = ""
    environment: str = ""
    problems: tuple[str, ...] = ()

    @property
    def shown_endpoint(self) -> str:
        """The endpoint as it may be said: without a name and a password in it."""
        return otel_env.without_password(self.endpoint)


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Values that cannot be meant fall back to the default, and are said in ``problems``.
    """
    env = os.environ if environ is None else environ
    problems: list[str] = []

    def number(name: str, default: int) -> int:
        return _number(env, name, default, problems)

    protocol = otel_env.protocol(env, problems)
    return Settings(
        profile=profile_name(env),
        spool=spool_path(env),
        spool_max_bytes=number("GENTRACE_SPOOL_MAX_MB", 256) * 1024 * 1024,
        spool_max_age_s=number("GENTRACE_SPOOL_MAX_DAYS", 7) * 86_400,
        redis_url=env.get("GENTRACE_REDIS_URL", ""),
        sql=otel_env.word(env, ("GENTRACE_SQL",), ("spans", "slow", "off"), problems),
        logs=env.get("GENTRACE_LOGS", "").strip().lower() not in _OFF,
        endpoint=otel_env.endpoint(env, protocol, problems),
        protocol=protocol,
        service_name=env.get("OTEL_SERVICE_NAME", ""),
        schedule_delay_ms=number("OTEL_BSP_SCHEDULE_DELAY", 1000),
        max_queue=number("OTEL_BSP_MAX_QUEUE_SIZE", 8192),
        max_batch=number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        compression=otel_env.compression(env, problems),
        export_timeout_s=otel_env.timeout_s(env, problems),
        conventions=otel_env.conventions(env),
        provider=_provider(env, problems),
        environment=environment(env),
        problems=(*problems, *otel_env.problems(env)),
    )


def environment(environ: Mapping[str, str] | None = None) -> str:
    """The name of the host's environment as it stands in keys, or an empty string."""
    env = os.environ if environ is None else environ
    named = env.get("GENTRACE_ENVIRONMENT", "").strip()
    pairs = (each.partition("=") for each in env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    told = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
    return re.sub(r"[^\w.-]+", "-", named or told.get("deployment.environment.name", ""))[:64]


def endpoint(environ: Mapping[str, str] | None = None) -> str:
    """The OTLP endpoint that the standard variables name, or an empty string."""
    env = os.environ if environ is None else environ
    return (
        env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        or env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or ""
    )


def spool_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where the local spool is: ``GENTRACE_SPOOL``, else the per-user state folder."""
    env = os.environ if environ is None else environ
    named = env.get("GENTRACE_SPOOL")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_state_path

    return user_state_path("gentrace", appauthor=False) / "spool"


def source(environ: Mapping[str, str] | None = None) -> str:
    """``GENTRACE_SOURCE``: where the commands read, or an empty string for the spool."""
    return (os.environ if environ is None else environ).get("GENTRACE_SOURCE", "")


def source_headers(environ: Mapping[str, str] | None = None) -> str:
    """``GENTRACE_SOURCE_HEADERS``: ``name=value,…`` for the Jaeger that is read.

    OTEL_EXPORTER_OTLP_HEADERS is not taken for it: that is a secret of where spans are sent to.
    """
    return (os.environ if environ is None else environ).get("GENTRACE_SOURCE_HEADERS", "")


def source_timeout(environ: Mapping[str, str] | None = None) -> str:
    """``GENTRACE_SOURCE_TIMEOUT``: how many seconds the Jaeger that is read may be silent."""
    return (os.environ if environ is None else environ).get("GENTRACE_SOURCE_TIMEOUT", "").strip()


def jaeger_url(environ: Mapping[str, str] | None = None) -> str:
    """``GENTRACE_JAEGER_URL``: where people see Jaeger's page, for links."""
    return (os.environ if environ is None else environ).get("GENTRACE_JAEGER_URL", "").strip()


def service_name(environ: Mapping[str, str] | None = None) -> str:
    """``OTEL_SERVICE_NAME``."""
    return (os.environ if environ is None else environ).get("OTEL_SERVICE_NAME", "").strip()


def _provider(env: Mapping[str, str], problems: list[str]) -> str:
    given = env.get("GENTRACE_PROVIDER", "").strip().lower()
    if given in ("", OWN, HOST, BOTH):
        return given
    problems.append(
        f"GENTRACE_PROVIDER={otel_env.shown(given)} is none of {OWN}, {HOST}, {BOTH}; "
        "it is decided as if it were not set"
    )
    return ""


def _number(env: Mapping[str, str], name: str, default: int, problems: list[str]) -> int:
    given = env.get(name, "").strip()
    try:
        value = int(given or default)
    except ValueError:
        value = 0
    if 0 < value <= _MOST:
        return value
    shown = otel_env.shown(given)
    problems.append(f"{name}={shown} is no whole number above 0; {default} is used")
    return default
