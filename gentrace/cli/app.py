"""The typer application: the commands together, and expected faults as one message."""

from __future__ import annotations

import builtins
import gc
from collections.abc import Sequence
from typing import Annotated

import typer

from gentrace import __version__
from gentrace.cli import compare, doctor, faults, list, output, show
from gentrace.core.errors import GentraceError

app = typer.Typer(
    name="gentrace",
    help="Read the traces of generations: what failed, what hangs, where the time went.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(list.command)
app.command("show")(show.command)
app.command("compare")(compare.command)
app.command("slow")(compare.slow)
app.command("failing")(compare.failing)
app.command("doctor")(doctor.command)


@app.command("exec", context_settings={"ignore_unknown_options": True})
def exec_command(
    command: Annotated[builtins.list[str], typer.Argument(help="The command.")],
) -> None:
    """Run a command with GENTRACE=1, and with what its .env says of GENTRACE_* and OTEL_*."""
    from gentrace.cli import exec as exec_module

    raise typer.Exit(exec_module.run(command))


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gentrace {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read the traces of generations: what failed, what hangs, where the time went."""
    del version


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. Any fault is one message on stderr."""
    output.prepare(arguments)
    collects = gc.isenabled()
    gc.disable()  # a command is soon over; what it reads are millions of objects, none in a circle
    try:
        return output.written(lambda: _run(arguments))
    except GentraceError as fault:
        output.say(str(fault))
        return fault.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as fault:
        output.say(faults.told(fault))
        return faults.EXIT_CODE
    finally:
        if collects:
            gc.enable()


def _run(arguments: Sequence[str]) -> int:
    try:
        app(args=[*arguments], prog_name="gentrace")
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0
