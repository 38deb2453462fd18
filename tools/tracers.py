"""Tracers that a host may have beside us and that put a provider of their own in OpenTelemetry's.

They are no part of the environment: each brings a plugin that every pytest would load.
"""

from __future__ import annotations

from tools.pip_folders import PipFolders

RELEASES = {
    "logfire": ["logfire==5.2.0", "executing==2.2.1"],
    "ddtrace": ["ddtrace==4.16.0", "ddtrace-internal==0.1.0", "envier==0.6.1", "bytecode==0.17.0"],
}

_ALL = PipFolders("tracers", RELEASES)
folder, find, install = _ALL.folder, _ALL.find, _ALL.install
