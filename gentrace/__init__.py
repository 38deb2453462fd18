"""OpenTelemetry tracing of one media generation across API, queue, worker and provider.

With ``GENTRACE=1`` in the environment, importing this package hooks the host that the profile
describes; without it, importing does nothing and costs the import of ``os``. At the interpreter's
start gentrace.pth imports it where that is so, or gentrace.start, which Python 3.15 reads instead.
"""

import os

__version__ = "0.1.0"
__all__ = ["__version__", "instrument", "uninstrument"]


def instrument(profile: str | None = None) -> bool:
    """Hook the host now, whatever ``GENTRACE`` says. Calling it again changes nothing.

    Args:
        profile: a shipped profile's name, an entry point's name or the path of a TOML file;
            ``GENTRACE_PROFILE`` or the default otherwise.

    Returns:
        Whether the hooks are in place. False, with one line on stderr, when the profile or an
        OpenTelemetry package cannot be used: the host runs on untraced.
    """
    from gentrace.runtime import startup

    return startup.start(profile)


def uninstrument() -> list[str]:
    """Take every hook out again, write out what was recorded and stop our thread.

    Returns:
        Who still holds a wrapper of ours, such as a module that copied a name: ``owner.name``.
        It passes straight through.
    """
    from gentrace.runtime import startup

    return startup.stop()


def at_interpreter_start() -> None:
    """Called at the interpreter's start, also where both start-up files are read. Never raises.

    What is switched on has been started by the import. What is not leaves no module behind, so
    that an import after ``load_dotenv()`` looks at the environment again; a ``.env`` that asks for
    gentrace too late is told to the host's user (gentrace.pth comes here only for that).
    """
    if _switched_on:
        return
    if "GENTRACE" not in os.environ and _any_dotenv():
        from gentrace.runtime import unread_dotenv

        unread_dotenv.watch()
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == __name__]:
        del sys.modules[name]


def _any_dotenv() -> bool:
    """Whether a ``.env`` is here or on PYTHONPATH, or in a folder above (as in gentrace.pth)."""
    folders = {".", *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    return any(
        os.path.isfile(os.path.join(folder, "../" * level, ".env"))
        for folder in folders
        for level in range(8)
    )


_switched_on = os.environ.get("GENTRACE", "").strip().lower() in ("1", "true", "yes", "on")
if _switched_on:
    from gentrace.runtime.startup import start

    start(switched=True)
