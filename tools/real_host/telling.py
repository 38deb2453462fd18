"""Holds what a run span tells against its trace: how far it got, whom it asked, why it failed."""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.run_reading import RunSpan
from tests.support.otlp_receiver import Span

ASKED = ("operation", "provider", "model")
BEFORE_A_TRY = ("created", "queued")
SUBMITTED = ("submitted", "provider", "finished")
DIED = "worker_died"


def problems(run: RunSpan, *, killed: bool) -> list[str]:
    """What the run span says that its spans do not, or leaves unsaid.

    Args:
        killed: a process was killed meanwhile, and with it what it had not told.
    """
    executes = [each for each in run.named("provider.execute") if each["start_ns"] < _end(run)]
    found = [f"no {name}" for name in ASKED if not run.get(name)]
    if not killed:
        found += _stage(run, executes)
        found += _counts(run, executes)
    for span in executes:
        found += _submission(span)
    last = executes[-1] if executes else None
    failed = run.get("outcome") == "failed" and last is not None and _raised(last)
    if failed:
        found += [
            f"no error.{name}" for name in ("cause", "message") if not run.get("error." + name)
        ]
    return found


def _raised(span: Span) -> bool:
    """Whether it failed by an exception, and not with its process."""
    return span["status"]["code"] == "ERROR" and span["attributes"].get("error.type") != DIED


def _end(run: RunSpan) -> int:
    return run.span["end_ns"]


def _stage(run: RunSpan, executes: Sequence[Span]) -> list[str]:
    stage, tries = run.get("stage"), run.get("tries")
    found: list[str] = []
    if (tries == 0) != (stage in BEFORE_A_TRY):
        found.append(f"stage {stage} after {tries} tries")
    if bool(executes) != (stage in SUBMITTED):
        found.append(f"stage {stage} with {len(executes)} provider.execute")
    return found


def _counts(run: RunSpan, executes: Sequence[Span]) -> list[str]:
    attempts = run.get("attempts")
    if attempts == len(executes):
        return []
    return [f"{attempts} attempts, {len(executes)} provider.execute"]


def _submission(span: Span) -> list[str]:
    """Who died may have done so before the host had written its row."""
    told = span["attributes"]
    wanted = [f"generation.{name}" for name in (*ASKED, "account.id", "attempt")]
    if told.get("error.type") == DIED:
        return [f"provider.execute without {name}" for name in wanted if not told.get(name)]
    wanted.append("generation.submission.id")
    if span["status"]["code"] == "ERROR":
        wanted += ["error.type", "generation.error.cause", "code.file.path", "code.line.number"]
    return [f"provider.execute without {name}" for name in wanted if not told.get(name)]
