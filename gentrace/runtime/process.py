"""Which process this is: instance id, role, resource, its record, and the one start line."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from gentrace import __version__
from gentrace.core.profile import Profile
from gentrace.core.settings import Settings
from gentrace.runtime import machine, notices
from gentrace.runtime.revision import revision

API, WORKER = "api", "worker"


class Process:
    """Identity of the running process; renewed in a forked child.

    Args:
        profile: gives the service its name, ``<profile>-<role>``.
        settings: ``OTEL_SERVICE_NAME`` wins over that.
        destination: gives where spans go and why, in words, for the start line.
        host_service: the service's name in the host's provider, where our spans go there.
        code_version: the revision, ``+dirty`` where a loaded file differs from it.
        loaded: the host has started and is at work: it will import little from here on.
        shown: gives what may be written of an attribute of the resource: whoever runs the host may
            have put anything into ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME``.
    """

    def __init__(self, profile: Profile, settings: Settings) -> None:
        self.profile, self.settings = profile, settings
        self.shown: Callable[[str, Any], Any] = lambda _name, value: value
        self.destination: Callable[[], tuple[str, str]] = lambda: ("nowhere yet", "not set up")
        self.host_service = ""
        self.on_role: list[Callable[[], None]] = []
        self._lacking: list[str] = []
        self.queue = ""
        self.role = ""
        self.code_version: str | None = None
        self._revision: tuple[str | None] | None = None
        self._detected = _detected()
        self.renew()

    def renew(self) -> None:
        """A new instance id (at start and after fork); the role is found out again.

        Until then a forked child's spans have the service's name of its parent.
        """
        self._parents_role = self.role or getattr(self, "_parents_role", "")
        self.role = ""
        self._lock = threading.Lock()
        self.instance = str(uuid.uuid4())
        self.started_ns = time.time_ns()
        self.pid = os.getpid()
        self.loaded = threading.Event()
        self._resource: Any = None
        self._of_runs: Any = None
        self._resource_role = ""

    def become(self, role: str, queue: str = "") -> None:
        """The process turned out to be the API or a worker. The first role stays."""
        with self._lock:
            if queue:
                self.queue = queue
            if self.role:
                return
            self.role = role
        destination, why = self.destination()
        says = f"tracing as {self.shown_name()}, spans go to {destination} ({why})"
        notices.say_once("start", f"{__version__}: {says}{''.join(self._lacking)}")
        for problem in self.settings.problems:
            notices.say_once(problem, problem)
        for listener in self.on_role:
            listener()

    def lacks(self, library: str, extra: str) -> None:
        """A library of the host's is not traced for want of a package: the start line says so."""
        self._lacking.append(f"; {library} is not traced without pip install '{extra}'")
        if self.role:
            notices.say_once(f"lacks {library}", self._lacking[-1].removeprefix("; "))

    def service_name(self) -> str:
        """``OTEL_SERVICE_NAME``, else ``<profile>-<role>``, else the profile's name."""
        if self.settings.service_name:
            return str(self.shown("service.name", self.settings.service_name))
        role = self.role or self._parents_role
        return f"{self.profile.name}-{role}" if role else self.profile.name

    @property
    def named(self) -> bool:
        """Whether the service's name will not change any more for want of a role."""
        return bool(self.role or self._parents_role)

    def shown_name(self) -> str:
        """The service's name as the spans have it (``OTEL_RESOURCE_ATTRIBUTES`` may set it)."""
        own = self.resource().attributes.get("service.name", self.service_name())
        return self.host_service or str(own)

    def resource(self) -> Any:
        """The OpenTelemetry resource of every span of this process.

        The detected part was made with the process: the SDK detects on a thread pool, which an
        interpreter that is ending no longer gives.
        """
        if self._resource is None or self._resource_role != self.role:
            from opentelemetry.sdk.resources import Resource

            # What the variables say of the machine wins: a container's user knows it better.
            made = Resource(machine.attributes()).merge(self._detected)
            made = made.merge(Resource(self._attributes()))
            named = str(made.attributes.get("service.name", ""))
            if not named or named.startswith("unknown_service"):
                made = made.merge(Resource({"service.name": self.service_name()}))
            attributes = {
                name: self.shown(name, value)
                for name, value in made.attributes.items()
                if self.shown("", name) == name
            }
            made = Resource(attributes, made.schema_url)
            runs = str(self.shown("service.name", self._runs_name(named)))
            self._of_runs = _hashed(made.merge(Resource({"service.name": runs})))
            self._resource, self._resource_role = _hashed(made), self.role
        return self._resource

    def runs_resource(self) -> Any:
        """The resource of the runs' spans: a service of its own, whoever writes them.

        The rest is this process's: it says on which machine, by which clock and by whom they
        were written. ``gentrace.processes`` says which processes the run crossed.
        """
        self.resource()
        return self._of_runs

    def _runs_name(self, named: str) -> str:
        """``<name>-runs``, of the name that was set (``OTEL_*``) or of the profile's."""
        is_set = named and not named.startswith("unknown_service")
        return f"{named if is_set else self.settings.service_name or self.profile.name}-runs"

    def _attributes(self) -> dict[str, str | int]:
        return {
            "service.instance.id": self.instance,
            "process.pid": self.pid,
            "process.runtime.name": sys.implementation.name,
            "process.runtime.version": platform.python_version(),
            "telemetry.distro.name": "gentrace",
            "telemetry.distro.version": __version__,
        }

    def package_file(self) -> str | None:
        """The file of the host's package that is imported here."""
        for name in self.profile.packages:
            file = getattr(sys.modules.get(name), "__file__", None)
            if file is not None:
                return str(file)
        return None

    def revision(self) -> str | None:
        """The host package's git revision as it was when first asked for, at the start."""
        if self._revision is None and self.package_file() is not None:
            self._revision = (revision(self.package_file()),)
        return self._revision[0] if self._revision is not None else None

    def record(self, targets: list[dict[str, Any]], ended: bool = False) -> dict[str, Any]:
        """The process's own record for the spool: who it is and what was hooked in it."""
        return {
            "instance": self.instance,
            "service": self.service_name(),
            "role": self.role,
            "pid": self.pid,
            "alive": not ended,
            "machine": platform.node(),
            "python": sys.executable,
            "python_version": platform.python_version(),
            "prefix": sys.prefix,
            "package_file": self.package_file(),
            "revision": self.revision(),
            "cwd": _cwd(),
            "queue": self.queue,
            "gentrace": __version__,
            "profile": self.profile.name,
            "started_at": _iso(self.started_ns),
            "last_seen": _iso(time.time_ns()),
            "targets": targets,
        }


def _hashed(resource: Any) -> Any:
    """The same resource with its hash kept: the encoders ask for it once a span."""
    from opentelemetry.sdk.resources import Resource

    class Hashed(Resource):
        def __hash__(self) -> int:
            return known

    known = hash(resource)
    return Hashed(dict(resource.attributes), resource.schema_url)


def _detected() -> Any:
    from opentelemetry.sdk.resources import Resource

    from gentrace.runtime.export.quiet import quietly

    with quietly():
        return Resource.create()


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _iso(ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat().replace("+00:00", "Z")
