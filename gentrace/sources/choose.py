"""Which source a command reads: what was asked for, else GENTRACE_SOURCE, else the spool."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from gentrace.core import profile, settings
from gentrace.core.errors import ProfileError, SourceError
from gentrace.core.otel_env import without_password
from gentrace.sources.base import Source
from gentrace.sources.otlp_files import OtlpFiles


def open_source(
    asked: str = "",
    environ: Mapping[str, str] | None = None,
    *,
    headers: Sequence[str] = (),
    ca_file: str = "",
    insecure: bool = False,
    records: bool = False,
) -> Source:
    """The source to read.

    Args:
        asked: the ``--source`` option: a Jaeger's address, or a file or folder of OTLP JSON lines.
        environ: the environment to look into instead of the process's own.
        headers: ``NAME=VALUE``, for a Jaeger; ``ca_file`` and ``insecure`` likewise.
        records: what is wanted are the processes' records, which lie in the spool wherever the
            spans go: one without spans will do.

    Raises:
        SourceError: it is not there, cannot be read, is of a kind that is not supported, or is
            an empty spool while spans are sent to an endpoint instead.
        UsageError: a header cannot be meant.
    """
    env = os.environ if environ is None else environ
    named = asked or settings.source(env)
    if named:
        origin = "--source" if asked else "GENTRACE_SOURCE"
        if "://" in named and not named.startswith("file://"):
            from gentrace.sources.jaeger import Jaeger
            from gentrace.sources.jaeger.access import access, base_url

            how = access(env, headers, ca_file, insecure)
            return Jaeger(
                base_url(named, origin),
                how,
                profile=_profile(env),
                service=settings.service_name(env),
            )
        return OtlpFiles(Path(named.removeprefix("file://")).expanduser(), label=origin)
    return spool(env, records=records)


def spool(env: Mapping[str, str], *, records: bool = False) -> OtlpFiles:
    """The local spool; the per-user folder need not be there yet.

    Args:
        records: as :func:`open_source`.

    Raises:
        SourceError: as :func:`open_source`.
    """
    files = OtlpFiles(settings.spool_path(env), label="the spool", may_be_missing=True)
    endpoint = settings.endpoint(env)
    if endpoint and not records and files.is_empty():
        raise SourceError(
            f"the spool {files.path} is empty, and OTEL_EXPORTER_OTLP_ENDPOINT says why: spans go "
            f"to {without_password(endpoint)} instead. Where that ends in a Jaeger, give its "
            f"address: `--source {_jaeger_beside(endpoint)}`; or `--source FILE` with what a "
            "Collector's file exporter writes (collector-config.yaml); or set GENTRACE_SOURCE"
        )
    return files


def _jaeger_beside(endpoint: str) -> str:
    """Where a Jaeger's query service would be on the endpoint's machine."""
    from gentrace.sources.jaeger.access import QUERY_PORT

    try:
        host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname
    except ValueError:
        host = None
    host = f"[{host}]" if host and ":" in host else host
    return f"http://{host or 'HOST'}:{QUERY_PORT}"


def _profile(env: Mapping[str, str]) -> str:
    """The profile's name, by which its services are called; empty where it cannot be read."""
    try:
        return profile.load(settings.read(env).profile)[0].name
    except ProfileError:
        return ""
