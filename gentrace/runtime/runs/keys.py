"""The run store's keys in Redis, all below ``gentrace:<profile>:``, and how long each lives."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from gentrace.core.scrub import shows_secret

LIVE_TTL_S = 24 * 3600
ENDED_TTL_S = 2 * 3600
PAST_TTL_S = 7 * 24 * 3600
BEAT_TTL_S = 60
_PLAIN = re.compile(r"[\w.:-]{1,128}")
_WORDS = re.compile(r"[^\d:]{9}")  # a number, a UUID and a short name have no such stretch


@dataclass(frozen=True, slots=True)
class Keys:
    """The names; docs/store.md says what each holds."""

    profile: str

    def _key(self, *parts: str) -> str:
        return ":".join(("gentrace", self.profile, *parts))

    def run(self, generation_id: str) -> str:
        """A hash: trace, parent, flags and number of the generation's current run, its record."""
        return self._key("run", generation_id)

    def earlier(self, generation_id: str, mark: str) -> str:
        """The same of an earlier run (number and trace), until its span is written."""
        return self._key("run", generation_id, mark)

    def polls(self, generation_id: str, mark: str) -> str:
        """How often the provider was asked about that run."""
        return self._key("polls", generation_id, mark)

    def past(self, generation_id: str) -> str:
        """A hash: trace and number of the generation's last run, after that has expired."""
        return self._key("past", generation_id)

    def trace(self, trace_id: str) -> str:
        """The generation whose run's trace that is."""
        return self._key("trace", trace_id)

    def alias(self, kind: str, value: str) -> str:
        """The generation that a second id (an asset's, a provider's job's) stands for."""
        return self._key("alias", kind, _plain(value))

    def job(self, job_id: str) -> str:
        """Whose job that is, while it is queued (runs/jobs.py)."""
        return self._key("job", _plain(job_id))

    @property
    def settling(self) -> str:
        """A sorted set: runs (id, number, trace) by the time (s) when their end is certain."""
        return self._key("settling")

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

    def journal(self, instance: str) -> str:
        """A sorted set: what this process has told and not written yet (runs/journal.py)."""
        return self._key("journal", instance)

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
