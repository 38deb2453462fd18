"""CPU clocks, medians and tables that the programs here share. Linux only."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CPUCLOCK_SCHED = 2  # linux/posix-timers.h: what clock_getcpuclockid(3) answers for a process
_SHOWN = ("gentrace", "opentelemetry-sdk", "fastapi", "arq", "sqlalchemy", "redis")


def cpu_s(pid: int) -> float:
    """User and system time of a process and all its threads, ended ones too; exact to the ns."""
    return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) / 1e9


def resident_mib(pid: int) -> float:
    """Memory of a process that is in RAM now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Sample:
    """Repeated measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def shown(self, scale: float = 1.0, digits: int = 2) -> str:
        """The median, and in brackets the least and the greatest."""
        numbers = (self.median, min(self.values), max(self.values))
        middle, least, most = (f"{number * scale:.{digits}f}" for number in numbers)
        return f"{middle} ({least}–{most})"


def ratios(values: Sequence[float], base: Sequence[float]) -> Sample:
    """Each value beside the base's of the same round, so that a slow minute counts for both."""
    return Sample(tuple(value / other for value, other in zip(values, base, strict=True)))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown with aligned columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def revision() -> str:
    """The repository's revision; `+` where its package was changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        found = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "../gentrace"])
    except OSError:
        return "unknown"
    return (found.stdout.decode().strip() or "unknown") + ("+" if changed.returncode else "")


def machine() -> str:
    """Without which numbers are worth nothing: date, revision, cores, load, versions."""
    found: list[str] = []
    for name in _SHOWN:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    parts = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"revision {revision()}",
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        f"Python {platform.python_version()}",
        ", ".join(found),
    )
    return " · ".join(parts)
