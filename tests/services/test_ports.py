"""A port that was found free stays its finder's: no other process and no connection takes it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import pytest

from tools import ports

ROOT = Path(__file__).parents[2]
MANY = 300
ASKS = f"""
import json, sys
from tools.ports import free_ports
sys.stdin.readline()
print(json.dumps(free_ports({MANY})), flush=True)
sys.stdin.read()
"""


@contextmanager
def processes(count: int) -> Generator[list[subprocess.Popen[str]]]:
    """Processes that wait for a line, take many ports, print them and stay until the block ends."""
    command = [sys.executable, "-c", ASKS]
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                subprocess.Popen(
                    command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(count)
        ]


def ask(asked: list[subprocess.Popen[str]]) -> list[list[int]]:
    """What each found; all were asked before the first answer was read."""
    for each in asked:
        assert each.stdin is not None
        each.stdin.write("now\n")
        each.stdin.flush()
    return [json.loads(each.stdout.readline()) for each in asked if each.stdout is not None]


def test_processes_that_ask_at_once_never_get_the_same_port() -> None:
    with processes(4) as asked:
        found = ask(asked)
        mine = ports.free_ports(MANY)
    everything = [*chain.from_iterable(found), *mine]
    assert len(everything) == 5 * MANY
    assert len(set(everything)) == len(everything)


def test_a_port_belongs_to_its_process_until_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with processes(1) as asked:
        (found,) = ask(asked)
        monkeypatch.setattr(ports, "_blocks", lambda: iter([min(found)]))
        with pytest.raises(ports.NoFreePort):
            ports._Ports().take()
        asked[0].kill()  # whatever its end
        asked[0].wait()
    assert ports._Ports().take() == min(found)


def test_no_outgoing_connection_takes_a_port_that_was_found() -> None:
    reserved = ports.for_servers()
    assert set(ports.free_ports(MANY)) <= set(reserved)
    with socket.create_server((ports.HOST, 0)) as server, ExitStack() as stack:
        place = server.getsockname()
        for _ in range(MANY):
            going_out = stack.enter_context(socket.create_connection(place))
            stack.enter_context(server.accept()[0])
            assert going_out.getsockname()[1] not in reserved


@pytest.mark.parametrize(
    ("connections", "expected"),
    [
        ("32768\t60999\n", range(10_240, 32_768)),
        ("49152 65535", range(10_240, 49_152)),
        ("10000 40000", range(40_001, 65_536)),
        ("1024 65535", range(10_240, 65_536)),  # no room elsewhere
        (None, range(10_240, 49_152)),
    ],
)
def test_the_ports_lie_beside_those_of_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connections: str | None, expected: range
) -> None:
    told = tmp_path / "range"
    if connections is not None:
        told.write_text(connections)
    monkeypatch.setattr(ports, "LINUX_RANGE", told)
    assert ports.for_servers() == expected


def test_a_port_on_which_a_stranger_listens_is_passed_over() -> None:
    mine = ports._Ports()
    with socket.socket() as stranger:
        stranger.bind((ports.HOST, mine.take() + 1))
        stranger.listen()
        assert mine.take() == stranger.getsockname()[1] + 1


FORKS = """
import json, os
from tools.ports import free_ports
before = free_ports(1)
if child := os.fork():
    os.waitpid(child, 0)
print(json.dumps([before, free_ports(5)]), flush=True)
"""


def test_a_forked_child_gets_other_ports_than_its_parent() -> None:
    command = [sys.executable, "-c", FORKS]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    (before, of_child), (_, of_parent) = map(json.loads, done.stdout.splitlines())
    assert not {*of_child} & {*before, *of_parent}
