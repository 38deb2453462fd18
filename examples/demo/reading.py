"""What the demo shows at its end: the list, one trace, and what to try next."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.demo.children import DemoFailed
from examples.demo.destination import Destination
from examples.demo.fates import SHOWN
from examples.demo.traffic import Sent

COMMAND_S = 60


def show(to: Console, spans_to: Destination, sent: Sequence[Sent]) -> None:
    """Runs `gentrace list` and `gentrace show` of the most telling one, or asks Jaeger for it."""
    chosen = _id_of(sent, SHOWN)
    if spans_to.spool is not None:
        _gentrace(to, "list", "--source", str(spans_to.spool))
        _gentrace(to, "show", chosen, "--source", str(spans_to.spool))
    elif spans_to.jaeger:
        found = spans_to.trace_ids(chosen)
        if not found:
            raise DemoFailed(
                f"Jaeger knows no trace with generation.id={chosen}; is {spans_to.words} its own "
                "OTLP endpoint?"
            )
        to.print(f"Generation {chosen} ({SHOWN}) in Jaeger:", style="bold")
        for trace_id in found:
            to.print(f"  {spans_to.trace_url(trace_id)}")
    else:
        to.print(f"All spans went to {spans_to.words}; search them by generation.id={chosen}.")


def say_what_next(to: Console, spans_to: Destination, sent: Sequence[Sent], place: Path) -> None:
    """The commands to copy; each works as it stands, from where the demo was started."""
    failing = next(one for one in reversed(sent) if one.id and one.fate.ends == "failed")
    to.print("\nWhat to try next", style="bold")
    if spans_to.spool is not None:
        gentrace, source = _command(), f"--source {spans_to.spool}"
        tries = {
            f"{failing.fate.story}": f"{gentrace} show {failing.id} {source}",
            "every SQL statement and HTTP call": f"{gentrace} show {failing.id} --all {source}",
            "the failed ones; or all, for programs": f"{gentrace} list --outcome failed {source}\n"
            f"    {gentrace} list --json {source}",
            "the same into a Jaeger; or into yours": "make demo-jaeger\n"
            "    make demo ARGS='--jaeger http://127.0.0.1:4318'",
        }
    else:
        tries = {}
    if spans_to.jaeger:
        tries[f"search by generation.id: {failing.fate.story}"] = spans_to.search_url(failing.id)
    tries["your own host: see README.md"] = "GENTRACE=1 in the environment of its API and worker"
    for what, how in tries.items():
        to.print(f"  [dim]{what}[/dim]\n    {how}")
    to.print(f"  [dim]what the demo's processes wrote[/dim]\n    {place / 'logs'}")


def _id_of(sent: Sequence[Sent], story: str) -> str:
    return next(one.id for one in sent if one.fate.story == story)


def _gentrace(to: Console, *arguments: str) -> None:
    """Runs one command as a user would, out of reach of the terminal's Ctrl-C: we end it."""
    to.print(f"$ gentrace {' '.join(arguments)}", style="bold cyan")
    program = _program()
    with subprocess.Popen([*program, *arguments], start_new_session=True) as process:
        try:
            code = process.wait(COMMAND_S)
        except BaseException:
            process.kill()
            raise
    if code:
        raise DemoFailed(f"`gentrace {' '.join(arguments)}` ended with exit code {code}")
    to.print()


def _program() -> list[str]:
    beside = Path(sys.executable).with_name("gentrace")
    if beside.exists():
        return [str(beside)]
    return [sys.executable, "-c", "from gentrace.cli import main; main()"]


def _command() -> str:
    """How to call gentrace from this shell: by its name where that is this one."""
    beside = Path(sys.executable).with_name("gentrace")
    if (on_path := shutil.which("gentrace")) and Path(on_path).samefile(beside):
        return "gentrace"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
