"""The profile: what gentrace knows of a host, read from TOML into frozen dataclasses.

A profile is data: entry points, roles, keys, redactions. What is done with a role is the
runtime's business. Errors name the file, the place in it and the nearest valid key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gentrace.core import switch
from gentrace.core.errors import ProfileError

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
    "adapter": "a provider adapter class; its methods are matched by pattern",
    "check_status": "asks the provider for a submission's status",
    "status": "sets a generation's status",
    "poll": "polls one generation",
    "cron": "a cron job that works for many generations",
}
PATH_ROOTS = ("args", "result", "error", "self")  # or "=constant"


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the host's hook points.

    ``at`` holds ``module:qualname`` spellings, newest first; a module that starts with a dot
    is relative to each of the profile's packages. ``read`` maps what is read to paths such as
    ``args.generation.id``, tried in order.
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
    """A route whose requests get a SERVER span."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Job:
    """An ARQ function that works for one generation; ``id`` is the argument that names it."""

    function: str
    id: str = "generation_id"
    position: int = 0
    own: bool = False

    def generation_in(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The generation's id among a job's arguments, by name or by position; None without."""
        value = kwargs.get(self.id)
        if value is None and len(args) > self.position:
            value = args[self.position]
        return value


@dataclass(frozen=True, slots=True)
class Statuses:
    """The host's words for a generation's status."""

    final: tuple[str, ...] = ("completed", "failed", "cancelled")
    failed: tuple[str, ...] = ("failed",)


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
    provider_pending: tuple[str, ...] = ("pending", "queued", "processing")
    propagate_to: tuple[str, ...] = ()
    trust_incoming: bool = False
    redis_url_env: tuple[str, ...] = ()
    lookup_store: str = "redis"

    def job(self, function: str) -> Job | None:
        """The declared job of that ARQ function name, if any."""
        return next((job for job in self.jobs if job.function == function), None)


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    """A hint at what was meant, for the end of a message."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


class _Reader:
    """Checks one table at a time, and says where a mistake stands."""

    def __init__(self, source: str, strict: bool, warnings: list[str]) -> None:
        self.source, self.strict, self.warnings = source, strict, warnings

    def fault(self, where: str, what: str) -> None:
        message = f"profile {self.source}: {where}: {what}"
        if self.strict:
            raise ProfileError(message)
        self.warnings.append(message)

    def build(self, kind: type[Any], table: Any, where: str) -> Any:
        """A ``kind`` from a TOML table; unknown and missing keys are faults."""
        if not isinstance(table, dict):
            raise ProfileError(f"profile {self.source}: {where}: a table was expected")
        known = {f.name: f for f in fields(kind)}
        values: dict[str, Any] = {}
        for key, value in table.items():  # pyright: ignore[reportUnknownVariableType]
            if key not in known:
                self.fault(where, f"unknown key {key!r}{_nearest(str(key), known)}")
                continue
            converted = self.convert(str(known[key].type), value, f"{where}.{key}")
            if converted is not None:
                values[str(key)] = converted
        try:
            return kind(**values)
        except TypeError:
            missing = [n for n in _required(kind) if n not in values]
            names = ", ".join(repr(n) for n in missing)
            raise ProfileError(f"profile {self.source}: {where}: missing {names}") from None

    def convert(self, wanted: str, value: Any, where: str) -> Any:
        if wanted == "tuple[str, ...]":
            if isinstance(value, str):
                return (value,)
            if isinstance(value, list) and all(isinstance(v, str) for v in value):  # pyright: ignore[reportUnknownVariableType]
                return tuple(value)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
            self.fault(where, f"a list of strings was expected, found {value!r}")
            return None
        if wanted == "Mapping[str, tuple[str, ...]]":
            return self.paths(value, where)
        for table, kind in (("Statuses", Statuses), ("Errors", Errors)):
            if wanted == table:
                return self.build(kind, value, where)
        for listed, kind in (("Target", Target), ("Route", Route), ("Job", Job)):
            if wanted == f"tuple[{listed}, ...]":
                if not isinstance(value, list):
                    raise ProfileError(f"profile {self.source}: {where}: [[{where}]] was expected")
                return tuple(
                    self.build(kind, entry, _label(where, entry, i))
                    for i, entry in enumerate(value)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
                )
        expected = {"str": str, "bool": bool, "int": int}[wanted]
        if type(value) is not expected:
            self.fault(where, f"{wanted} was expected, found {value!r}")
            return None
        return value

    def paths(self, value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise ProfileError(f"profile {self.source}: {where}: a table was expected")
        read: dict[str, tuple[str, ...]] = {}
        for key, paths in value.items():  # pyright: ignore[reportUnknownVariableType]
            found = self.convert("tuple[str, ...]", paths, f"{where}.{key}")
            for path in found or ():
                root = path.partition(".")[0]
                if root not in PATH_ROOTS and not path.startswith("="):
                    roots = ", ".join(PATH_ROOTS)
                    self.fault(f"{where}.{key}", f"path {path!r} must start with one of {roots}")
            read[str(key)] = found or ()  # pyright: ignore[reportUnknownArgumentType]
        return read


def _required(kind: type[Any]) -> list[str]:
    from dataclasses import MISSING

    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


def _label(where: str, entry: Any, index: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    return f"{where}[{name}]" if isinstance(name, str) else f"{where}[{index}]"


def parse(text: str, source: str, *, strict: bool = True) -> tuple[Profile, list[str]]:
    """A profile from TOML text, with the warnings (empty when ``strict``).

    Raises:
        ProfileError: not TOML, a missing key, or (when ``strict``) anything unknown.
    """
    warnings: list[str] = []
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ProfileError(f"profile {source}: not valid TOML: {exc}") from None
    reader = _Reader(source, strict, warnings)
    profile: Profile = reader.build(Profile, table, "profile")
    seen: set[str] = set()
    for target in profile.targets:
        where = f"targets[{target.name}]"
        if target.name in seen:
            reader.fault(where, "this name is used twice")
        seen.add(target.name)
        if target.role not in ROLES:
            reader.fault(where, f"unknown role {target.role!r}{_nearest(target.role, ROLES)}")
        for spelling in target.at:
            if spelling.count(":") != 1 or not all(spelling.split(":")):
                reader.fault(where, f"{spelling!r} is not of the form module:qualname")
    if not profile.packages:
        raise ProfileError(f"profile {source}: packages: at least one package is needed")
    return profile, warnings


def locate(name_or_path: str) -> tuple[str, str]:
    """The TOML text and a name for messages, of a shipped profile, a file or an entry point.

    Raises:
        ProfileError: nothing is there, or it cannot be read.
    """
    if switch.is_path(name_or_path):
        try:
            return Path(name_or_path).read_text(encoding="utf-8"), name_or_path
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8 text"
            raise ProfileError(f"profile {name_or_path}: cannot be read: {reason}") from None
    shipped = Path(switch.PROFILES) / f"{name_or_path}.toml"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8"), shipped.name
    from importlib import resources
    from importlib.metadata import entry_points

    for entry in entry_points(group="gentrace.profiles", name=name_or_path):
        module, _, file = entry.value.partition(":")
        try:
            text = (resources.files(module) / (file or f"{name_or_path}.toml")).read_text("utf-8")
        except (OSError, ImportError) as exc:
            raise ProfileError(f"profile {name_or_path}: {entry.value}: {exc}") from None
        return text, entry.value
    known = sorted(path.stem for path in shipped.parent.glob("*.toml"))
    raise ProfileError(
        f"profile {name_or_path!r}: no such profile; shipped: {', '.join(known)}; "
        "or give the path of a .toml file"
    )


def load(name_or_path: str = "pixsim7", *, strict: bool = True) -> tuple[Profile, list[str]]:
    """Find and parse a profile: a shipped name, a path or an entry point's name.

    Raises:
        ProfileError: as :func:`locate` and :func:`parse`.
    """
    text, source = locate(name_or_path)
    return parse(text, source, strict=strict)
