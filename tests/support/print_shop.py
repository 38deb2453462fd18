"""The second host as it runs in earnest: press, counter, one worker a queue, a Redis of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from tests.support.programs import BIN, ROOT, Program, clean_environment, stop_together
from tests.support.waiting import PATIENCE_S
from tools import servers

FOLDER = ROOT / "examples" / "print_shop"
PROFILE = FOLDER / "pressroom.toml"
INTAKE, PRESS_ROOM = "pressroom.jobs.Intake", "pressroom.jobs.PressRoom"
OVER = frozenset({"DONE", "REJECTED", "WITHDRAWN"})


class PrintShop:
    """The running shop.

    Attributes:
        spool: where gentrace writes.
    """

    def __init__(self, folder: Path, redis: servers.RedisServer) -> None:
        self.folder, self.spool = folder, folder / "spool"
        self._port, self._press_port = servers.free_ports(2)
        self._env = clean_environment(
            folder,
            {
                "PYTHONPATH": os.pathsep.join([str(FOLDER), str(ROOT)]),
                "PRESSROOM_REDIS": redis.url,
                "PRESSROOM_DB": f"sqlite:///{folder / 'shop.db'}",
                "PRESS_URL": f"http://{servers.HOST}:{self._press_port}",
                "GENTRACE": "1",
                "GENTRACE_PROFILE": str(PROFILE),
                "GENTRACE_SPOOL": str(self.spool),
                "OTEL_BSP_SCHEDULE_DELAY": "200",
            },
        )
        self.programs: list[Program] = []
        url = f"http://{servers.HOST}:{self._port}"
        self._http = httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)

    def _start(self, name: str, *command: str) -> Program:
        log = self.folder / f"{name}-{len(self.programs)}.log"
        program = Program(name, command, self._env, self.folder, log)
        self.programs.append(program)
        return program

    def open(self) -> None:
        """Start the press and the counter."""
        self._start(
            "press", sys.executable, str(FOLDER / "press_standin.py"), str(self._press_port)
        )
        address = ("--host", servers.HOST, "--port", str(self._port))
        api = self._start("api", str(BIN / "uvicorn"), "pressroom.app:app", *address)
        api.wait_until(self._is_open, "answers")

    def _is_open(self) -> bool:
        with suppress(httpx.HTTPError):
            return self._http.get("/health").status_code == 200
        return False

    def start_worker(self, settings: str) -> Program:
        """Start the worker of one queue."""
        worker = self._start("worker", str(BIN / "arq"), settings)
        worker.wait_for("Starting worker for")
        return worker

    def stop(self) -> None:
        """Stop everything, so that all is written."""
        self._http.close()
        stop_together([program for program in self.programs if program.alive])

    def post(self, document: str, paper: str = "plain", customer: str = "ada") -> httpx.Response:
        """Ask for a print."""
        slip = {"customer": customer, "document": document, "paper": paper}
        return self._http.post("/orders", json=slip)

    def place(self, document: str) -> str:
        """Place an order; returns its number."""
        answer = self.post(document)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["order_no"])

    def withdraw(self, order_no: str) -> bool:
        """Take it back, while nobody prints it."""
        return bool(self._http.delete(f"/orders/{order_no}").json()["withdrawn"])

    def wait_over(self, orders: Iterable[str], timeout: float = PATIENCE_S) -> list[str]:
        """Wait until all are over; returns how each ended."""
        wanted, end = list(orders), time.monotonic() + timeout
        while True:
            states = [self._http.get(f"/orders/{each}").json()["state"] for each in wanted]
            if OVER.issuperset(states):
                return states
            assert time.monotonic() < end, states
            time.sleep(0.05)


@contextmanager
def print_shop(failed: servers.Failed | None = None) -> Generator[PrintShop]:
    """The shop with its counter open; a test starts the workers."""
    with ExitStack() as stack:
        redis = stack.enter_context(servers.redis(failed))
        folder = stack.enter_context(servers._folder("print-shop", failed))
        shop = PrintShop(folder, redis)
        stack.callback(shop.stop)
        shop.open()
        yield shop
