"""Which source a command reads: what was asked for, else GENTRACE_SOURCE, else the spool."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gentrace.core import settings
from gentrace.core.errors import SourceError
from gentrace.sources.base import Source
from gentrace.sources.otlp_files import OtlpFiles


def open_source(asked: str = "", environ: Mapping[str, str] | None = None) -> Source:
    """The source to read.

    Args:
        asked: the ``--source`` option: a file or folder of OTLP JSON lines.
        environ: the environment to look into instead of the process's own.

    Raises:
        SourceError: it is not there, cannot be read, is of a kind that is not supported, or is
            an empty spool while spans are sent to an endpoint instead.
    """
    env = os.environ if environ is None else environ
    named = asked or settings.source(env)
    if named:
        origin = "--source" if asked else "GENTRACE_SOURCE"
        if "://" in named and not named.startswith("file://"):
            raise SourceError(
                f"{origin} {named}: only files can be read by this version; give a file or folder "
                "of OTLP JSON lines, such as the Collector's file exporter writes"
            )
        return OtlpFiles(Path(named.removeprefix("file://")).expanduser(), label=origin)
    return spool(env)


def spool(env: Mapping[str, str]) -> OtlpFiles:
    """The local spool; the per-user folder need not be there yet.

    Raises:
        SourceError: as :func:`open_source`.
    """
    files = OtlpFiles(settings.spool_path(env), label="the spool", may_be_missing=True)
    endpoint = settings.endpoint(env)
    if endpoint and files.is_empty():
        raise SourceError(
            f"the spool {files.path} is empty, and OTEL_EXPORTER_OTLP_ENDPOINT says why: spans go "
            f"to {endpoint} instead. Look at them there, or give `--source FOLDER` with the files "
            "that a Collector's file exporter writes (collector-config.yaml), or set "
            "GENTRACE_SOURCE to it"
        )
    return files
