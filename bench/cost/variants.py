"""The ways to run the small host: without a tool, with gentrace, with what one could take instead.

Each tool is switched on as its makers say, samples everything, and sends traces only: metrics and
logs of OpenTelemetry and Datadog's telemetry are off, since gentrace has nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.cost import environments
from bench.cost.environments import Environment, Tool

API, WORKER = "api", "worker"
WITH_SENTRY = Path(__file__).with_name("with_sentry.py")
NOBODY = "http://127.0.0.1:1"
Settings = Callable[[str], Mapping[str, str]]
"""From the receiver's address, which is without a path, to the variables that switch a tool on."""
Prefix = Callable[[Environment], Sequence[str]]


def _nothing(_receiver: str) -> Mapping[str, str]:
    return {}


def _no_prefix(_environment: Environment) -> Sequence[str]:
    return ()


@dataclass(frozen=True, eq=False)
class Way:
    """One way to run the host.

    Attributes:
        settings: the environment variables that switch the tool on.
        prefix: what stands before each of the host's commands.
        named: the variable that tells the tool the name of a process, if it does not know it.
        sends: whether its spans go to the receiver; else there are none, or they are in the spool.
        quick: whether it is part of `--quick`.
    """

    name: str
    tool: Tool
    settings: Settings = _nothing
    prefix: Prefix = _no_prefix
    named: str = ""
    sends: bool = True
    quick: bool = True
    fixed: Mapping[str, str] = field(default_factory=dict[str, str])

    def env(self, receiver: str, process: str = "") -> dict[str, str]:
        """All variables for a process of the host, `api` or `worker`."""
        name = {self.named: process} if self.named and process else {}
        return {**self.fixed, **self.settings(receiver), **name}


def _otlp(receiver: str) -> Mapping[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }


def _sentry(receiver: str) -> Mapping[str, str]:
    return {"SENTRY_DSN": receiver.replace("://", "://nobody@") + "/1"}


def _datadog(receiver: str) -> Mapping[str, str]:
    return {"DD_TRACE_AGENT_URL": receiver}


def _logfire(receiver: str) -> Mapping[str, str]:
    return {"LOGFIRE_BASE_URL": receiver}


def _opentelemetry_instrument(environment: Environment) -> Sequence[str]:
    return (environment.script("opentelemetry-instrument"),)


def _logfire_run(environment: Environment) -> Sequence[str]:
    return (environment.script("logfire"), "run", "--no-summary")


def _ddtrace_run(environment: Environment) -> Sequence[str]:
    return (environment.script("ddtrace-run"),)


def _with_sentry(environment: Environment) -> Sequence[str]:
    return (environment.script("python"), str(WITH_SENTRY))


ON = {"GENTRACE": "1"}
TRACES_ONLY = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}
DD_TRACES_ONLY = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
    "DD_TRACE_SAMPLE_RATE": "1",
    "DD_TRACE_RATE_LIMIT": "-1",
}
LOGFIRE_QUIET = {
    "LOGFIRE_TOKEN": "no-real-token",
    "LOGFIRE_SEND_TO_LOGFIRE": "true",
    "LOGFIRE_CONSOLE": "false",
}
NONE = Way("no tool", environments.NONE, sends=False)
AGAIN = Way("no tool, again", environments.NONE, sends=False)
"""The noise floor: what `NONE` differs from itself by."""
GENTRACE = Way("gentrace", environments.GENTRACE, _otlp, fixed=ON)
SLOW = Way("gentrace, GENTRACE_SQL=slow", environments.GENTRACE, _otlp,
           fixed={**ON, "GENTRACE_SQL": "slow"})  # fmt: skip
SPOOL = Way("gentrace, to the spool", environments.GENTRACE, sends=False, quick=False, fixed=ON)
OTEL = Way(
    "opentelemetry-instrument",
    environments.OTEL,
    _otlp,
    _opentelemetry_instrument,
    "OTEL_SERVICE_NAME",
    fixed=TRACES_ONLY,
)
OTEL_ARQ = Way(
    "opentelemetry-instrument with -arq",
    environments.OTEL_ARQ,
    _otlp,
    _opentelemetry_instrument,
    "OTEL_SERVICE_NAME",
    fixed=TRACES_ONLY,
)
SENTRY = Way("sentry-sdk", environments.SENTRY, _sentry, _with_sentry, "SENTRY_ENVIRONMENT")
DDTRACE = Way(
    "ddtrace", environments.DDTRACE, _datadog, _ddtrace_run, "DD_SERVICE", fixed=DD_TRACES_ONLY
)
LOGFIRE = Way(
    "logfire",
    environments.LOGFIRE,
    _logfire,
    _logfire_run,
    "LOGFIRE_SERVICE_NAME",
    fixed=LOGFIRE_QUIET,
)
ALL = (NONE, GENTRACE, SLOW, SPOOL, OTEL, OTEL_ARQ, SENTRY, DDTRACE, LOGFIRE, AGAIN)
