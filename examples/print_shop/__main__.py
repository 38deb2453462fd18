"""Runs the print shop with GENTRACE=1, brings it six orders, and stops it again."""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from examples.demo import host
from examples.demo.children import Children, DemoFailed, Interrupted, on_a_free_port, signals
from examples.demo.folder import own

SHOP = Path(__file__).resolve().parent
OVER = ("DONE", "REJECTED", "WITHDRAWN")
ORDERS = [
    ("ada", "An ode to copper plates", "laid"),
    ("ada", "A menu, SLOW to print", "card"),
    ("ben", "A leaflet that makes a JAM1", "plain"),
    ("ben", "A SMUDGED letter", "plain"),
    ("cleo", "A poster nobody waited for", "card"),
    ("cleo", "A flag", "silk"),
]
WRITTEN_S = 2.0  # the statuses settle, and spans are written once a second


def main() -> int:
    """Runs the shop; returns 1 when an order is not over in time."""
    parser = argparse.ArgumentParser(prog="python -m examples.print_shop", description=__doc__)
    parser.add_argument("--profile", default=str(SHOP / "pressroom.toml"), metavar="FILE")
    parser.add_argument("--folder", default=".print_shop", type=Path, metavar="FOLDER")
    parser.add_argument("--redis", default="", metavar="URL", help="an empty database of one")
    options = parser.parse_args()
    if options.redis:
        host.check_given(options.redis, "")
    with ExitStack() as stack:
        folder = stack.enter_context(own(options.folder.absolute()))
        children = Children(folder / "logs")
        stack.callback(children.stop)
        if options.redis:
            stack.callback(host.empty, options.redis)
            stack.callback(children.stop)
        url = start(children, folder, Path(options.profile).absolute(), options.redis)
        placed = [answer for slip in ORDERS if (answer := place(url, *slip))]
        ask(f"{url}/orders/{placed[-1]}", "DELETE")
        end = time.monotonic() + 30
        while not all(state(url, order_no) in OVER for order_no in placed):
            children.check()
            if time.monotonic() > end:
                raise DemoFailed("an order was not over within 30 s; see the logs")
            time.sleep(0.1)
        for order_no in placed:
            print(order_no, state(url, order_no))
        time.sleep(WRITTEN_S)
        children.stop("api", "intake", "press_room")
    return 0


def start(children: Children, folder: Path, profile: Path, redis: str) -> str:
    """Starts the press, the counter and both workers; returns the counter's address."""
    env = {name: os.environ[name] for name in host.NEEDED if name in os.environ}
    env["PYTHONPATH"] = os.pathsep.join([str(SHOP), os.environ.get("PYTHONPATH", "")])
    env |= {"PYTHONUNBUFFERED": "1", "NO_PROXY": host.HOST}
    env["PRESSROOM_REDIS"] = redis or host._redis(children, folder, env)
    env["PRESSROOM_DB"] = f"sqlite:///{folder / 'host.db'}"

    def press(port: int) -> None:
        command = [sys.executable, SHOP / "press_standin.py", str(port)]
        children.start("press", command, env, lambda: host._listens(port))

    env["PRESS_URL"] = f"http://{host.HOST}:{on_a_free_port(press, host._free_port)}"
    env |= {"GENTRACE": "1", "GENTRACE_PROFILE": str(profile)}
    env["GENTRACE_SPOOL"] = str(folder / "spool")

    def counter(port: int) -> None:
        command = [sys.executable, "-m", "uvicorn", "pressroom.app:app", "--host", host.HOST]
        url = f"http://{host.HOST}:{port}/health"
        children.start("api", [*command, "--port", str(port)], env, lambda: host._answers(url))

    port = on_a_free_port(counter, host._free_port)
    for name, settings in (("intake", "Intake"), ("press_room", "PressRoom")):
        log = children.log(name)
        children.start(
            name,
            [sys.executable, "-m", "arq", f"pressroom.jobs.{settings}"],
            env,
            lambda log=log: b"Starting worker for" in log.read_bytes(),
        )
    return f"http://{host.HOST}:{port}"


def place(url: str, customer: str, document: str, paper: str) -> str | None:
    """Places an order; its number, or None where it was refused."""
    try:
        slip = {"customer": customer, "document": document, "paper": paper}
        return str(ask(f"{url}/orders", "POST", slip)["order_no"])
    except urllib.error.HTTPError as refused:
        print(f"refused: {refused.code} {json.load(refused)['detail']}")
        return None


def state(url: str, order_no: str) -> str:
    """The order's state."""
    return str(ask(f"{url}/orders/{order_no}")["state"])


def ask(url: str, method: str = "GET", body: object = None) -> dict[str, object]:
    """What the counter answers."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return json.load(answer)


if __name__ == "__main__":
    signals.install()
    try:
        code = main()
    except Interrupted as stopped:
        code = 128 + stopped.number
    except DemoFailed as failed:
        print(f"print_shop: {failed}", file=sys.stderr)
        code = 1
    signals.ignore()
    sys.exit(code)
