"""What the tests of faults share: one line said, generations unharmed, ends in time."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e import reading
from tests.support.programs import BIN, ROOT, Program, clean_environment, stop_together
from tests.support.small_host import SmallHost

LONGER_S = 3.0  # how much longer the end of a process may take than without gentrace
WHOLE = reading.OF_THE_API | reading.OF_THE_WORKER
COUNTED = "spans could not be written"
"""What an exit says of the spans that were lost on the way."""
_OF_LIBRARIES = ("opentelemetry", "urllib3", "Failed to export", "Transient error")
_RAISING = re.compile(r'^  File "([^"]+)".*\n(?:    .*\n)*(?=\S)', re.MULTILINE)


def run_and_stop(
    host: SmallHost, env: Mapping[str, str], how: signal.Signals = signal.SIGTERM
) -> tuple[list[float], list[Program], str]:
    """A generation, then an end at once: the seconds of each process, the processes, the id."""
    with host.running(env) as programs:
        generation = host.run()
        assert generation["status"] == "completed"
        took = stop_together(programs, how)
    return took, programs, str(generation["id"])


def in_time(took: Sequence[float], without: Sequence[float]) -> None:
    """Each end took hardly longer than without gentrace."""
    for seconds, usual in zip(took, without, strict=True):
        assert seconds - usual < LONGER_S


def said(program: Program) -> list[str]:
    """What it said beside its start line and the count at its end; no library said anything."""
    lines = program.said()
    (start,) = [line for line in lines if "tracing as" in line]
    lines.remove(start)
    assert not [word for word in _OF_LIBRARIES if word in program.text()], program.text()
    raised_elsewhere(program)
    return [line for line in lines if COUNTED not in line]


def raised_elsewhere(program: Program) -> None:
    """No traceback in its log ends in a frame of ours.

    ARQ ends with one of its own where a job was running, and that goes through our frames.
    """
    raised = _RAISING.findall(program.text())
    assert not [file for file in raised if Path(file).is_relative_to(ROOT / "gentrace")]


def one_line_each(programs: Sequence[Program]) -> list[str]:
    """The one line that each said beside those."""
    found = [said(program) for program in programs]
    assert [len(lines) for lines in found] == [1] * len(programs), found
    return [line for lines in found for line in lines]


def spooled_whole(spool: Path, generation_id: str, program: Program) -> None:
    """Wait until the spool has the generation's whole trace."""
    whole = reading.complete([generation_id], WHOLE)
    program.wait_until(lambda: whole(reading.spooled(spool)), "is whole in the spool")


def whole_in_the_spool(spool: Path, generation_id: str) -> None:
    """The spool has the generation's one trace, under one root."""
    spans = reading.of_generation(reading.spooled(spool), generation_id)
    assert reading.complete([generation_id], WHOLE)(spans)
    assert len(reading.roots(spans)) == 1


def listed(spool: Path, home: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What `gentrace list` reads there, and what it says beside it."""
    done = subprocess.run(
        [str(BIN / "gentrace"), "list", "--json", "--source", str(spool)],
        env=clean_environment(home),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["generations"], done.stderr.splitlines()
