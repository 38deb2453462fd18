"""Scenarios of connections: several requests on one, two API processes, one request sent twice.

A server starts a request that was sent before the answer to the one before it in that one's task,
so each must begin in a scope of its own.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPResponse
from io import BufferedReader
from typing import Any
from urllib.parse import urlsplit

from tests.e2e import reading
from tests.support.otlp_receiver import Span
from tools.real_host.day import Case, Day, Scenario
from tools.real_host.host import ROUTE, wait_until

CLIENTS, EACH = 6, 10
UNTRACED = ("GET", "/health", None)
ANSWER_S = 120
LIFTED_EACH_S = 0.05

_Sent = tuple[str, str, Any]


def untraced_then_create(day: Day) -> None:
    """A GET of a route that no profile names, and a creation right behind it."""
    _many(day, "GET and POST on one connection", lambda body: [UNTRACED, ("POST", ROUTE, body)])


def create_after_create(day: Day) -> None:
    """Creation after creation on one connection, each sent before the answer to the last."""
    name = "POST after POST on one connection"
    bodies = [[_body(day) for _ in range(EACH)] for _ in range(CLIENTS)]

    def client(mine: list[tuple[str, dict[str, Any]]]) -> None:
        answers = _on_one_connection(day, [("POST", ROUTE, body) for _, body in mine])
        for (prompt, _), answer in zip(mine, answers, strict=True):
            _expect(day, name, prompt, answer)

    _at_once(day, client, bodies, name)


def two_apis(day: Day) -> None:
    """A second API process; each client asks one, then the other."""
    name, first = "two API processes", day.host.url
    second = day.host.start_another_api()

    def client(mine: list[tuple[str, dict[str, Any]]]) -> None:
        for number, (prompt, body) in enumerate(mine):
            (answer,) = _on_one_connection(
                day, [("POST", ROUTE, body)], second if number % 2 else first
            )
            _expect(day, name, prompt, answer)

    _at_once(day, client, [[_body(day) for _ in range(4)] for _ in range(CLIENTS)], name)


def double_click(day: Day) -> None:
    """The same request twice at the same moment, which the host may answer with one generation."""
    prompt, body = _body(day)
    body["force_new"] = False
    ((newest,),) = day.host.database.run("SELECT coalesce(max(id), 0) FROM generations")
    with ThreadPoolExecutor(2) as threads:
        both = threads.map(lambda _: _on_one_connection(day, [("POST", ROUTE, body)])[0], range(2))
    ids = sorted({str(answer["id"]) for answer in both})
    made = [generation_id for generation_id in ids if int(generation_id) > newest]
    for generation_id in made:
        _expect(day, "double click", prompt, {"id": generation_id})
    day.host.wait_final(made)
    answered = 2 - len(made)
    wait_until(lambda: len(_returned(day, ids)) == answered, "what was returned is told", 30)
    older = f", {ids[0]} was there before" if not made else ""
    day.remarks.append(f"double click: {len(made)} generations of two requests{older}")


def _returned(day: Day, made: list[str]) -> list[Span]:
    """The requests that one of these generations answered."""
    spans = reading.spooled(day.host.spool)
    return [
        span
        for span in spans
        if span["kind"] == "SERVER" and span["attributes"].get("generation.returned.id") in made
    ]


def _many(day: Day, name: str, requests: Any) -> None:
    def client(mine: list[tuple[str, dict[str, Any]]]) -> None:
        for prompt, body in mine:
            _expect(day, name, prompt, _on_one_connection(day, requests(body))[-1])

    _at_once(day, client, [[_body(day) for _ in range(EACH)] for _ in range(CLIENTS)], name)


def _at_once(day: Day, client: Any, work: Sequence[Any], name: str) -> None:
    before = len(day.cases)
    with _without_limits(day), ThreadPoolExecutor(len(work)) as threads:
        list(threads.map(client, work))
    made = day.cases[before:]
    day.host.wait_final([case.generation_id for case in made], 60 + 5 * len(made))
    day.remarks.append(f"{name}: {len(made)} generations, {len(work)} clients")


@contextmanager
def _without_limits(day: Day) -> Generator[None]:
    """The host comes to a request when it has been through those before: limits are lifted on."""
    over = threading.Event()

    def lift() -> None:
        while not over.wait(LIFTED_EACH_S):
            day.host.lift_limits()

    thread = threading.Thread(target=lift)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _body(day: Day) -> tuple[str, dict[str, Any]]:
    prompt = day.prompt("")
    config = day.host.request.config(prompt)
    return prompt, {"provider_id": "pixverse", "config": config, "force_new": True}


def _expect(day: Day, scenario: str, prompt: str, answer: Any) -> None:
    case = Case(scenario, str(answer["id"]), prompt, None, busy=True)
    day.expect(case, outcome="completed", attempts=1)
    if not day.modern:  # it fails what finds every account at work
        day.expect(case, outcome=("completed", "failed"), attempts=(0, 1))
    day.cases.append(case)


def _on_one_connection(day: Day, requests: list[_Sent], url: str = "") -> list[Any]:
    """The answers to requests that are all sent before the first answer is read."""
    address = urlsplit(url or day.host.url)
    host, port = address.hostname or "", address.port or 80
    with socket.create_connection((host, port), timeout=ANSWER_S) as connection:
        for request in requests:
            day.host.lift_limits()
            connection.sendall(_written(day, host, *request))
            time.sleep(0.002)  # the server has read it: its task begins while the last one is on
        stream = _Stream(socket.SocketIO(connection, "r"))
        return [_answer(stream) for _ in requests]


def _written(day: Day, host: str, method: str, path: str, body: Any) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: {day.host.authorization}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def _answer(stream: _Stream) -> Any:
    response = HTTPResponse(stream)  # pyright: ignore[reportArgumentType]
    response.begin()
    content = response.read()
    if response.status >= 400:
        raise RuntimeError(f"{response.status} {content[:800]!r}")
    return json.loads(content)


class _Stream(BufferedReader):
    """One connection's answers: what `HTTPResponse` takes for a socket and must not close."""

    def makefile(self, _mode: str) -> _Stream:
        return self

    def close(self) -> None:
        return


CONNECTIONS: dict[str, Scenario] = {
    "untraced_then_create": untraced_then_create,
    "create_after_create": create_after_create,
    "two_apis": two_apis,
    "double_click": double_click,
}
