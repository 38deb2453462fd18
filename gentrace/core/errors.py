"""The one tree of expected faults: what happened, why, what to do, and an exit code."""

from __future__ import annotations


class GentraceError(Exception):
    """An expected fault; printed as one message, without a traceback."""

    exit_code = 2


class ProfileError(GentraceError):
    """A profile cannot be used."""


class UsageError(GentraceError):
    """The command was called with something that cannot be meant."""


class SourceError(GentraceError):
    """Where spans should be read cannot be reached or read."""

    exit_code = 3


class NotFoundError(GentraceError):
    """No such generation or trace."""

    exit_code = 4
