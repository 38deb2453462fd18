"""What the bench counts, and how it takes off what would have been used anyway."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bench.cost import counting
from bench.cost.__main__ import BEGIN, END, write
from bench.cost.counting import Reading, Used
from bench.cost.environments import NONE, OTEL_ARQ, Environment, Unequal, of_host
from bench.cost.variants import ALL
from bench.measuring import ratios

STATUS = """Name:\tpython
State:\tS (sleeping)
voluntary_ctxt_switches:\t120
nonvoluntary_ctxt_switches:\t7
"""


def test_voluntary_and_other_switches_count() -> None:
    assert counting.switches_in(STATUS) == 127


def test_the_switches_of_every_thread_count() -> None:
    """A thread that only waits and wakes adds its own."""
    turn, done = threading.Event(), threading.Event()

    def wait() -> None:
        for _ in range(50):
            turn.wait()
            turn.clear()
            done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    own = Path(f"/proc/{os.getpid()}/task/{thread.native_id}/status")
    before, thread_before = counting.context_switches(os.getpid()), _of(own)
    for _ in range(49):
        turn.set()
        done.wait()
        done.clear()
    thread_after, after = _of(own), counting.context_switches(os.getpid())
    turn.set()
    thread.join()
    assert after - before >= thread_after - thread_before > 0


def _of(status: Path) -> int:
    return counting.switches_in(status.read_text())


def test_redis_commands_are_counted_without_the_benchs_own() -> None:
    stats = {
        "cmdstat_set": {"calls": 3},
        "cmdstat_client|setinfo": {"calls": 9},
        "cmdstat_info": {"calls": 5},
        "cmdstat_config|get": {"calls": 1},
    }
    assert counting.redis_commands(stats) == 4


def test_a_generation_costs_what_the_stretch_had_beyond_the_idle_host() -> None:
    second = 10**9
    idle = counting.a_second(
        Reading(0, Used(1.0, 100, 1000)), Reading(10 * second, Used(1.5, 200, 1100))
    )
    assert idle == Used(0.05, 10, 10)
    begin, end = Reading(0, Used(2.0, 0, 0)), Reading(20 * second, Used(5.0, 600, 1200))
    assert counting.a_generation(begin, end, 10, idle) == Used(0.2, 40, 100)


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([2.0, 30.0], [1.0, 10.0]).values == (2.0, 3.0)


def test_a_pin_that_a_tool_cannot_do_with_is_left_out_and_no_other() -> None:
    everything, fewer = (tool.constraints().splitlines() for tool in (NONE, OTEL_ARQ))
    assert [line for line in everything if line not in fewer] == [
        pin for pin in everything if pin.startswith("wrapt==")
    ]
    assert NONE.folder != OTEL_ARQ.folder


def test_unlike_releases_of_the_host_are_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    releases = {"none": "1.0", "otel-arq": "1.0"}

    def versions(own: Environment) -> dict[str, str]:
        return {"fastapi": releases[own.tool.name]}

    monkeypatch.setattr(Environment, "versions", versions)
    both = [Environment(tool, tmp_path) for tool in (NONE, OTEL_ARQ)]
    assert of_host(both)["fastapi"] == "1.0"
    releases["otel-arq"] = "2.0"
    with pytest.raises(Unequal, match="fastapi"):
        of_host(both)


def test_every_tool_that_sends_knows_its_receiver_and_its_process() -> None:
    for way in ALL:
        env = way.env("http://127.0.0.1:4318", "worker")
        told = [value for value in env.values() if "127.0.0.1:4318" in value or "@127" in value]
        assert bool(told) == way.sends, way.name
        assert not way.named or env[way.named] == "worker"


def test_a_page_keeps_what_stands_around_the_tables(tmp_path: Path) -> None:
    page = tmp_path / "cost.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(page, "new")
    write(page, "newer")
    assert page.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"


def test_a_page_without_the_marks_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "cost.md"
    page.write_text("something else\n")
    with pytest.raises(SystemExit, match="no marks"):
        write(page, "new")
    assert page.read_text() == "something else\n"
