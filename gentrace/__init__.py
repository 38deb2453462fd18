"""OpenTelemetry tracing of one media generation across API, queue, worker and provider.

With ``GENTRACE=1`` in the environment, importing this package hooks the host that the profile
describes; without it, importing does nothing and costs the import of ``os``.
"""

import os

__version__ = "0.1.0"
__all__ = ["__version__", "instrument", "uninstrument"]


def instrument(profile: str | None = None) -> bool:
    """Hook the host now, whatever ``GENTRACE`` says. Calling it again changes nothing.

    Args:
        profile: a shipped profile's name, an entry point's name or the path of a TOML file;
            ``GENTRACE_PROFILE`` or pixsim7 otherwise.

    Returns:
        Whether the hooks are in place. False, with one line on stderr, when the profile or an
        OpenTelemetry package cannot be used: the host runs on untraced.
    """
    from gentrace.runtime import startup

    return startup.start(profile)


def uninstrument() -> None:
    """Take every hook out again, write out what was recorded and stop our thread."""
    from gentrace.runtime import startup

    startup.stop()


if os.environ.get("GENTRACE", "").strip().lower() in ("1", "true", "yes", "on"):
    from gentrace.runtime.startup import start

    start(switched=True)
