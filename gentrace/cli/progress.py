"""While much is read: a line on stderr that says how much, where stderr is a terminal."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gentrace.sources import Source
from gentrace.sources.otlp_files import OtlpFiles

_QUICK_S = 1.0  # what is over by then needs no line


@contextmanager
def shown(source: Source) -> Generator[None, None, None]:
    """Show how much of the source's files was read; the line is gone when this is left."""
    to = Console(stderr=True)
    if not to.is_terminal or not isinstance(source, OtlpFiles):
        yield
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=to,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = bar.add_task("reading")
    since_s, read_bytes = time.monotonic(), 0

    def tell(more_bytes: int) -> None:
        nonlocal read_bytes
        read_bytes += more_bytes
        if time.monotonic() - since_s > _QUICK_S:
            bar.start()
            bar.update(task, description=f"read {read_bytes / 1024**2:,.0f} MiB")

    source.tell = tell
    try:
        yield
    finally:
        source.tell = None
        bar.stop()
