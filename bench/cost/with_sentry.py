"""Starts a command as a host does that has Sentry's two lines at its top.

    python with_sentry.py SCRIPT [ARGUMENT ...]

Sentry has no command that switches it on. The DSN and the environment come from SENTRY_DSN and
SENTRY_ENVIRONMENT; every integration for what is installed switches itself on.
"""

from __future__ import annotations

import importlib
import runpy
import sys


def main() -> None:
    """Switches Sentry on, then runs the script as `__main__`."""
    importlib.import_module("sentry_sdk").init(traces_sample_rate=1.0)
    del sys.argv[0], sys.path[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
