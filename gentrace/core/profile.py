"""The profile: what gentrace knows of a host, read from TOML into frozen dataclasses.

A profile is data: entry points, roles, keys, redactions. What is done with a role is the
runtime's business. Errors name the file, the place in it and the nearest valid key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from gentrace.core import names, profile_files, switch
from gentrace.core.errors import ProfileError
from gentrace.core.host_logs import LogEvent, Logs, Sdk
from gentrace.core.tables import Reader, nearest

ROLES: Mapping[str, str] = {
    "app": "the ASGI application",
    "handler": "an API handler; its route is traced, the function is not patched",
    "settings": "an ARQ settings class; read by doctor, not patched",
    "model": "the mapped class of a generation",
    "create": "creates a generation, or returns an existing one",
    "hash": "computes the reproducible hash",
    "dedup": "looks up an equal generation by hash",
    "cache": "looks up an equal generation by cache key",
    "cache_write": "writes or drops what the lookups read",
    "enqueue": "the host's own function around ArqRedis.enqueue_job",
    "arq_enqueue": "ArqRedis.enqueue_job",
    "job": "a generation's ARQ job",
    "account": "selects or reserves an account",
    "account_release": "gives an account back",
    "credits": "reads or checks an account's credits",
    "execute": "submits a generation to its provider",
    "submission": "the mapped class of a submission to the provider",
    "adapter": "a provider adapter class; its methods are matched by pattern",
    "asset": "the mapped class of what a generation makes",
    "check_status": "asks the provider for a submission's status",
    "status": "sets a generation's status",
    "poll": "polls one generation",
    "cron": "a cron job that works for many generations",
}
SETTLE_S: Mapping[str, float] = {"completed": 0.5, "failed": 2.0, "cancelled": 2.0}
PATH_ROOTS = ("args", "result", "error", "self")  # or "=constant"
READS: Mapping[str, str] = {
    "id": "the generation's id",
    "status": "the generation's, job's or submission's status",
    "operation": "what is asked for",
    "provider": "of which provider",
    "model": "of which model",
    "user": "the id of who asks",
    "account": "the account's id",
    "hash": "the reproducible hash",
    "prompt": "prompts, which are taken out of every message and never shown",
    "found": "the id that a lookup found",
    "function": "the ARQ function that is enqueued",
    "enqueued": "whether it was enqueued",
    "reason": "why a job ended as it did",
    "sufficient": "whether the credits suffice",
    "submission": "the submission's id",
    "provider_job": "the provider's id of the job",
    "attempt": "how many attempts there were before",
    "progress": "how far the provider is",
    "error_code": "the host's code of a failure",
    "asset": "the id of what the generation made",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the host's hook points.

    ``at`` holds ``module:qualname`` spellings, newest first; a module that starts with a dot
    is relative to each of the profile's packages. ``read`` maps what is read to paths such as
    ``args.generation.id``, tried in order. With no spelling at all the target is switched off.
    """

    name: str
    role: str
    at: tuple[str, ...]
    read: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    provider: str = ""
    optional: bool = False
    since: str = ""
    until: str = ""

    def spellings(self, packages: tuple[str, ...]) -> list[tuple[str, str]]:
        """``(module, qualname)`` of every spelling, with the packages put in front."""
        found: list[tuple[str, str]] = []
        for spelling in self.at:
            module, _, qualname = spelling.partition(":")
            if module.startswith("."):
                found += [(package + module, qualname) for package in packages]
            else:
                found.append((module, qualname))
        return found


@dataclass(frozen=True, slots=True)
class Route:
    """A route whose requests get a SERVER span; an ``optional`` one is not in every revision."""

    method: str
    path: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """An ARQ function that works for one generation; ``id`` is the argument that names it.

    ``id`` may go on inside that argument: ``order.id`` is the key or attribute ``id`` of ``order``.
    With ``by = "asset"`` it is the id of what the generation made. An ``optional`` one is not in
    every revision.
    """

    function: str
    id: str = "generation_id"
    position: int = 0
    own: bool = False
    by: str = "generation"
    optional: bool = False

    def generation_in(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The generation's id among a job's arguments, by name or by position; None without."""
        argument, *inside = self.id.split(".")
        value = kwargs.get(argument)
        if value is None and len(args) > self.position:
            value = args[self.position]
        for name in inside:
            if isinstance(value, Mapping):
                value = cast("Mapping[str, Any]", value).get(name)
            else:
                value = getattr(value, name, None)
        return value


@dataclass(frozen=True, slots=True)
class Statuses:
    """The host's words for a generation's status, in lower case however they are given.

    Attributes:
        completed, failed, cancelled: the final words, by the outcome that they mean.
        final: all of them. Given by itself, a word that no other list has means completed.
        held: what a person has put aside.
        settle_s: for how long a final status may still be taken back, by outcome or by word;
            afterwards each final word has its own.
    """

    completed: tuple[str, ...] = ("completed",)
    failed: tuple[str, ...] = ("failed",)
    cancelled: tuple[str, ...] = ("cancelled",)
    final: tuple[str, ...] = ()
    held: tuple[str, ...] = ("paused",)
    settle_s: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        for name in ("completed", "failed", "cancelled", "final", "held"):
            object.__setattr__(self, name, tuple(word.lower() for word in getattr(self, name)))
        final = self.final or (*self.completed, *self.failed, *self.cancelled)
        object.__setattr__(self, "final", final)
        given = {**SETTLE_S} | {word.lower(): seconds for word, seconds in self.settle_s.items()}
        words = {word: given.get(word, given[self.outcome(word) or ""]) for word in final}
        object.__setattr__(self, "settle_s", given | words)

    def outcome(self, status: str) -> str | None:
        """``completed``, ``failed`` or ``cancelled`` for a final word of the host, else None."""
        word = status.lower()
        if word not in self.final:
            return None
        if word in self.failed:
            return "failed"
        return "cancelled" if word in self.cancelled else "completed"


@dataclass(frozen=True, slots=True)
class Waits:
    """What the host's job says when it ends without having done its work.

    Attributes:
        held: statuses of a job that a person has put aside.
        unchanged: statuses of a job that left the generation as it found it.
        account: words in a reason that mean want of an account, credit or slot.
    """

    held: tuple[str, ...] = ("paused", "scheduled")
    unchanged: tuple[str, ...] = ("skipped",)
    account: tuple[str, ...] = (
        "account", "capacity", "concurrent", "credit", "quota", "slot", "limit",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Errors:
    """How failures are read: where the code stands, which types may show their message."""

    code: tuple[str, ...] = ("error_code", "code")
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """A whole host. Loaded by :func:`load`; every field has a meaning in docs/profile.md."""

    name: str
    packages: tuple[str, ...]
    targets: tuple[Target, ...]
    routes: tuple[Route, ...] = ()
    jobs: tuple[Job, ...] = ()
    statuses: Statuses = field(default_factory=Statuses)
    errors: Errors = field(default_factory=Errors)
    waits: Waits = field(default_factory=Waits)
    provider_pending: tuple[str, ...] = ("pending", "queued", "processing")
    propagate_to: tuple[str, ...] = ()
    trust_incoming: bool = False
    redis_url_env: tuple[str, ...] = ()
    lookup_store: str = "redis"
    logs: Logs = field(default_factory=Logs)
    log_events: tuple[LogEvent, ...] = ()
    sdks: tuple[Sdk, ...] = ()
    distributions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pending = tuple(word.lower() for word in self.provider_pending)
        object.__setattr__(self, "provider_pending", pending)

    def job(self, function: str) -> Job | None:
        """The declared job of that ARQ function name, which may be an import path."""
        for name in (function, function.rpartition(".")[2]):
            for job in self.jobs:
                if job.function == name:
                    return job
        return None

    def job_target(self, function: str) -> Target | None:
        """The target that says what to read off that ARQ function's result, if any."""
        ends = (f":{function}", f".{function}")
        jobs = (target for target in self.targets if target.role == "job")
        return next((job for job in jobs if any(at.endswith(ends) for at in job.at)), None)

    def host_function(self, function: str) -> str | None:
        """The host's own name of that ARQ function, where spans call it otherwise."""
        return None if self.span_of(function) == function else function

    def span_of(self, function: str) -> str:
        """What its tries are called in spans: one name for a generation's own jobs."""
        job = self.job(function)
        return names.PROCESS_GENERATION if job is not None and job.own else function


_KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Target, Route, Job, Statuses, Waits, Errors, Logs, LogEvent, Sdk)
}


def parse(text: str, source: str, *, strict: bool = True) -> tuple[Profile, list[str]]:
    """A profile from TOML text, with the warnings (empty when ``strict``).

    Without ``strict`` what cannot be used is left out: a key, a target, a spelling.

    Raises:
        ProfileError: not TOML, a missing key, or (when ``strict``) anything unknown.
    """
    reader = Reader(source, strict, _KINDS, PATH_ROOTS, READS)
    table = profile_files.whole(text, source, reader.fault)
    profile: Profile = reader.build(Profile, table, "profile")
    packages = [p for p in profile.packages if _is_module(p, reader, "packages")]
    for index, event in enumerate(profile.log_events):
        for fault in event.faults():
            reader.fault(f"log_events[{index}]", fault)
    if not packages:
        raise ProfileError(f"profile {source}: packages: at least one package is needed")
    if not profile.name.strip():
        raise ProfileError(f"profile {source}: name: a name is needed; it names the services")
    targets = tuple(_usable(profile.targets, reader))
    return replace(profile, packages=tuple(packages), targets=targets), reader.warnings


def _is_module(name: str, reader: Reader, where: str) -> bool:
    if all(part.isidentifier() for part in name.split(".")):
        return True
    reader.fault(where, f"{name!r} is no name of a package")
    return False


def _usable(targets: Sequence[Target], reader: Reader) -> Sequence[Target]:
    """The targets whose name is their own, whose role is known and whose spellings are meant."""
    kept: dict[str, Target] = {}
    for target in targets:
        where = f"targets[{target.name}]"
        if target.name in kept:
            reader.fault(where, "this name is used twice")
        elif target.role not in ROLES:
            reader.fault(where, f"unknown role {target.role!r}{nearest(target.role, ROLES)}")
        else:
            wrong = [at for at in target.at if at.count(":") != 1 or not all(at.split(":"))]
            for spelling in wrong:
                reader.fault(where, f"{spelling!r} is not of the form module:qualname")
            right = tuple(at for at in target.at if at not in wrong)
            kept[target.name] = replace(target, at=right) if wrong else target
    return list(kept.values())


def load(name_or_path: str = "", *, strict: bool = True) -> tuple[Profile, list[str]]:
    """Find and parse a profile: a shipped name, a path or an entry point's name.

    Args:
        name_or_path: empty is the default profile.

    Raises:
        ProfileError: as :func:`gentrace.core.profile_files.locate` and :func:`parse`.
    """
    text, source = profile_files.locate(name_or_path or switch.default_profile())
    return parse(text, source, strict=strict)
