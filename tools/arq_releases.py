"""Releases of ARQ beside the installed one, each with a release of redis-py that its users have."""

from __future__ import annotations

from tools.pip_folders import PipFolders

RELEASES = {"0.25.0": "5.0.1", "0.26.3": "4.6.0", "0.28.0": "5.2.1"}
"""ARQ's release to redis-py's."""

_ALL = PipFolders(
    "arq", {arq: [f"arq=={arq}", f"redis=={redis}"] for arq, redis in RELEASES.items()}
)
folder, find, install = _ALL.folder, _ALL.find, _ALL.install
