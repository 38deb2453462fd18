"""The demo from its options to its last line: start, send, wait, show, stop."""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from examples.demo import destination, folder, host, reading
from examples.demo.children import Children, DemoFailed, Interrupted, signals
from examples.demo.traffic import Traffic
from tools import servers

ROOT = Path(__file__).resolve().parents[2]
WRITTEN_S = 4.0  # a final status settles for 2 s, and spans are written once a second


def main() -> int:
    """Runs the demo; returns 1 when a generation ended as it should not."""
    options = _options()
    start = time.monotonic()
    to = Console(highlight=False, soft_wrap=True)
    with ExitStack() as stack:
        try:
            return _demo(options, stack, to, start)
        finally:
            signals.ignore()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo",
        description="Starts a small host with GENTRACE=1, sends it a dozen generations of "
        "different fates, and shows what gentrace recorded of them.",
    )
    parser.add_argument(
        "--jaeger",
        metavar="URL",
        default="",
        help="send the spans to this Jaeger (its page, or its OTLP endpoint); `auto` starts one",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep it running, to try things, until Ctrl-C"
    )
    parser.add_argument(
        "--redis", metavar="URL", default="", help="an empty database of a Redis to use"
    )
    parser.add_argument(
        "--database", metavar="URL", default="", help="an empty database, as SQLAlchemy names it"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".demo", help="for spool and logs; default: .demo"
    )
    return parser.parse_args()


def _demo(options: argparse.Namespace, stack: ExitStack, to: Console, start: float) -> int:
    host.check_given(options.redis, options.database)
    place = stack.enter_context(folder.own(_relative(options.folder)))
    spans_to = _destination(options.jaeger, place, stack)
    children = Children(place / "logs")
    stack.callback(children.stop)
    if options.redis:
        stack.callback(host.empty, options.redis)
        stack.callback(children.stop)  # comes first: nobody writes to it any more

    to.print(f"Starting a small host with GENTRACE=1; spans go to {spans_to.words}")
    running = host.start(children, place, options.redis, options.database, spans_to.tracing)
    sent = Traffic(running.api, to, children.check).run()
    if options.keep:
        time.sleep(WRITTEN_S)
        children.check()
    else:
        children.stop("api", "worker")  # which writes out what they still have
    to.print(f"\n{len(sent)} requests, {time.monotonic() - start:.0f} s.\n")

    reading.show(to, spans_to, sent)
    reading.say_what_next(to, spans_to, sent, place)
    if options.keep:
        _keep(to, running, children)
    return 0 if all(one.as_expected for one in sent) else 1


def _destination(jaeger: str, place: Path, stack: ExitStack) -> destination.Destination:
    if jaeger == "auto":
        try:
            with signals.held():
                server = stack.enter_context(servers.jaeger())
        except (servers.ServiceMissing, servers.ServerFailed) as problem:
            raise DemoFailed(str(problem)) from None
        return destination.otlp(place, server.otlp_http, server.url)
    if jaeger:
        return destination.jaeger(place, jaeger)
    return destination.exported(place) or destination.spool(place)


def _keep(to: Console, running: host.Host, children: Children) -> None:
    """Waits for Ctrl-C, which is how this ends, or for a child's death."""
    to.print(
        f"\nThe host is running: {running.api}/docs; its provider: {running.provider}\n"
        "Ctrl-C stops it."
    )
    try:
        while True:
            children.check()
            time.sleep(0.3)
    except Interrupted:
        print("\ngentrace demo: stopped", file=sys.stderr)


def _relative(path: Path) -> Path:
    """The path as short as it can be said here, so that the commands can be copied."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
