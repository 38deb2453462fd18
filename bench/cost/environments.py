"""An environment for each tool: the host's packages, in the same releases for all, and the tool.

An environment is made once, in the folder where `make services` keeps what it builds. Another pin
makes another environment. What pins the host is `constraints.txt`; what pins the tools stands here.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.pip_folders import TRACERS
from tools.services import cache_folder

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = (ROOT / "constraints.txt", ROOT / "constraints-host.txt")
HOST = (
    *("fastapi", "uvicorn", "sqlalchemy[asyncio]", "aiosqlite", "asyncpg"),
    *("arq", "redis", "httpx", "requests", "python-dotenv"),
)
"""What examples/small_host needs."""
SHOWN = ("fastapi", "uvicorn", "sqlalchemy", "asyncpg", "arq", "redis", "hiredis", "httpx")
"""The host's packages of which every environment has to have the same release."""
MADE = "made"
_VERSIONS = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
)
_CONTRIB = tuple(
    f"opentelemetry-instrumentation-{name}==0.66b1"
    for name in ("fastapi", "sqlalchemy", "redis", "httpx", "asyncpg")
)
_OTEL = (
    "opentelemetry-distro==0.66b1",
    "opentelemetry-exporter-otlp-proto-http==1.45.1",
    *_CONTRIB,
)


@dataclass(frozen=True)
class Tool:
    """One tool's packages.

    Attributes:
        packages: what pip installs beside the host's packages.
        shown: the distributions whose versions tell which tool it is.
        unpinned: names in `constraints.txt` that do not hold here.
        files: files of the tree of which the environment has a copy.
    """

    name: str
    packages: Sequence[str] = ()
    shown: Sequence[str] = ()
    unpinned: Sequence[str] = ()
    files: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        files = [(ROOT / name).read_text("utf-8") for name in self.files]
        told = [HOST, self.packages, self.constraints(), files, sys.version]
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
        return cache_folder() / "bench" / f"{self.name}-{digest}"

    def constraints(self) -> str:
        """The constraints of the tree, in one text, without what the tool cannot do with."""
        lines = [line for path in CONSTRAINTS for line in path.read_text("utf-8").splitlines()]
        pins = [line for line in lines if re.match(r"[A-Za-z]", line)]
        left_out = {name.lower() for name in self.unpinned}
        return "\n".join(p for p in pins if p.partition("==")[0].lower() not in left_out) + "\n"


NONE = Tool("none")
GENTRACE = Tool(
    "gentrace",
    ("--editable", str(ROOT)),  # so it is the tree as it stands
    ("gentrace", "opentelemetry-sdk"),
    files=("pyproject.toml", "gentrace.pth", "gentrace.start", "hatch_build.py"),
)
OTEL = Tool("otel", _OTEL, ("opentelemetry-sdk", "opentelemetry-distro"))
OTEL_ARQ = Tool(
    "otel-arq",
    (*_OTEL, "opentelemetry-instrumentation-arq==0.50b1", "wrapt==1.17.3"),
    ("opentelemetry-sdk", "opentelemetry-instrumentation-arq", "wrapt"),
    unpinned=("wrapt",),  # it calls wrapt with an argument that wrapt 2 has renamed
)
SENTRY = Tool("sentry", ("sentry-sdk==2.75.0",), ("sentry-sdk",))
DDTRACE = Tool("ddtrace", tuple(TRACERS.wanted["ddtrace"]), ("ddtrace",))
LOGFIRE = Tool("logfire", (*TRACERS.wanted["logfire"], *_CONTRIB), ("logfire", "opentelemetry-sdk"))


class Unequal(Exception):
    """Two environments have different releases of a package of the host."""


@dataclass(frozen=True)
class Environment:
    """A tool's environment on disk."""

    tool: Tool
    folder: Path

    def script(self, name: str) -> str:
        """The path of a command of it."""
        return str(self.folder / "bin" / name)

    def versions(self) -> dict[str, str]:
        """Every distribution in it, by its name in lower case."""
        done = subprocess.run(
            [self.script("python"), "-I", "-c", _VERSIONS], stdout=subprocess.PIPE, check=True
        )
        return json.loads(done.stdout)


def environment(tool: Tool) -> Environment:
    """The tool's environment, made where it is missing (half a minute of downloads).

    Errors: CalledProcessError with pip's last lines on stderr.
    """
    if not (tool.folder / MADE).is_file():
        print(f"making the environment of {tool.name}", file=sys.stderr, flush=True)
        _make(tool)
    return Environment(tool, tool.folder)


def _make(tool: Tool) -> None:
    """Makes it in its own place, which a venv cannot leave.

    The mark is written last: an environment that was left half made has none, and is made anew.
    """
    tool.folder.parent.mkdir(parents=True, exist_ok=True)
    venv = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(tool.folder)]
    subprocess.run(venv, check=True)
    pins = tool.folder / "constraints.txt"
    pins.write_text(tool.constraints(), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(tool.folder / "bin" / "python")]
    quiet = ["install", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, *quiet, "-c", str(pins), *HOST, *tool.packages], check=True)
    (tool.folder / MADE).touch()


def of_host(environments: Sequence[Environment]) -> dict[str, str]:
    """The releases of the host's packages, which are the same in all; Unequal where not."""
    found = {each.tool.name: each.versions() for each in environments}
    releases = {name: {own.get(name, "none") for own in found.values()} for name in SHOWN}
    if unequal := {name: seen for name, seen in releases.items() if len(seen) > 1}:
        raise Unequal(f"environments with unlike releases of the host's packages: {unequal}")
    return {name: seen.pop() for name, seen in releases.items()}
