"""The run store's keys in Redis, all below ``gentrace:<profile>:``, and how long each lives.

Where the host's environment is known, it follows the profile: two environments on one Redis that
give the same ids never meet.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from gentrace.core.scrub import shows_secret

LIVE_TTL_S = 7 * 24 * 3600  # past the last time for which something of the run is due
ENDED_TTL_S = 2 * 3600
PAST_TTL_S = 7 * 24 * 3600
BEAT_TTL_S = 60
_PLAIN = re.compile(r"[\w.:-]{1,128}")
_WORDS = re.compile(r"[^\d:]{9}")  # a number, a UUID and a short name have no such stretch


@dataclass(frozen=True, slots=True)
class Keys:
    """The names; docs/store.md says what each holds."""

    profile: str
    environment: str = ""

    @property
    def prefix(self) -> str:
        """What every key begins with."""
        given = (self.profile, self.environment) if self.environment else (self.profile,)
        return ":".join(("gentrace", *given, ""))

    def _key(self, *parts: str) -> str:
        return self.prefix + ":".join(parts)

    def run(self, generation_id: str) -> str:
        """A hash: the trace of each run of the generation, and who polled it how often."""
        return self._key("run", generation_id)

    def events(self, generation_id: str) -> str:
        """A list: what was told of the generation (core/run/events.py)."""
        return self._key("events", generation_id)

    def lease(self, generation_id: str) -> str:
        """Who writes the spans of the generation's runs."""
        return self._key("lease", generation_id)

    def past(self, generation_id: str) -> str:
        """Number and trace of the generation's last run, after that has expired."""
        return self._key("past", generation_id)

    def trace(self, trace_id: str) -> str:
        """The generation whose run's trace that is."""
        return self._key("trace", trace_id)

    def alias(self, kind: str, value: str) -> str:
        """The generation that a second id (an asset's, a provider's job's) stands for."""
        return self._key("alias", kind, _plain(value))

    def job(self, job_id: str) -> str:
        """Whose job that is, while it is queued (store/jobs.py)."""
        return self._key("job", _plain(job_id))

    @property
    def settling(self) -> str:
        """A sorted set: generations by the time (s) when a run's end is certain."""
        return self._key("due")

    @property
    def live(self) -> str:
        """A sorted set: generations with a run, by when they were last looked at (s)."""
        return self._key("live")

    @property
    def sweep(self) -> str:
        """Who looks after the live ones this minute."""
        return self._key("sweep")

    @property
    def epoch(self) -> str:
        """A random word; another one means that Redis was emptied."""
        return self._key("epoch")

    @property
    def processes(self) -> str:
        """A sorted set: instance ids by their last sign of life (s)."""
        return self._key("processes")

    def process(self, instance: str) -> str:
        """A process's liveness record, JSON."""
        return self._key("process", instance)

    def open(self, instance: str) -> str:
        """A set: generations with a span that this process has not ended."""
        return self._key("open", instance)

    @property
    def deaths(self) -> str:
        """A sorted set: processes that went without a word, by their last sign of life (s)."""
        return self._key("deaths")

    def died(self, instance: str) -> str:
        """Who sees to a process that is gone."""
        return self._key("died", instance)


def _plain(value: str) -> str:
    """An id as it is; what may be more than one (an address, a text, a key) as its hash.

    It has to be the same in every process, whatever that knows of prompts.
    """
    if _PLAIN.fullmatch(value) and not _WORDS.search(value) and not shows_secret(value):
        return value
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:32]
