"""``compare A B`` as one runs it: text, JSON to the contract's letter, the page, and faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import Run, answer, fault, gentrace
from tests.core import traces
from tests.core.traces import MINUTE_NS, START
from tests.support.html_page import Page

_ = gentrace  # the fixture


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    retried = traces.completed("again", "28", START + MINUTE_NS)
    return traces.write(
        tmp_path / "spool" / "spans-a.jsonl",
        traces.completed(), traces.failed(), traces.unfinished(), retried,
    )  # fmt: skip


@pytest.mark.usefixtures("filled")
def test_compare_for_programs(gentrace: Run) -> None:
    found = answer(gentrace("compare", "28", "29", "--json"))
    assert (found["a"]["id"], found["b"]["id"]) == ("28", "29")
    assert found["a"]["trace_id"] == traces.trace_id("again")
    assert found["difference_s"] == pytest.approx(0.88 - 7.932, abs=1e-9)
    assert sum(found["by_time"].values()) == pytest.approx(found["difference_s"], abs=1e-9)
    assert found["by_time"]["provider_run_s"] == pytest.approx(-6.919, abs=1e-9)
    row = found["by_path"][0]
    assert row.keys() >= {"path", "a_s", "b_s", "difference_s", "n_a", "n_b"}
    total_s = sum(each["difference_s"] for each in found["by_path"])
    assert total_s == pytest.approx(found["difference_s"], abs=1e-9)
    assert found["first_divergence"].keys() >= {"kind", "path", "at_a_s", "at_b_s", "a", "b"}
    outcome = next(each for each in found["attributes"] if each["name"] == "generation.outcome")
    assert (outcome["a"], outcome["b"], outcome["path"]) == ("completed", "failed", None)


@pytest.mark.usefixtures("filled")
def test_compare_for_people_and_as_a_page(gentrace: Run, tmp_path: Path) -> None:
    done = gentrace("compare", "28", "30", "--html", "page.html", GENTRACE_JAEGER_URL="http://j:1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "So far B took" in done.stdout
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert Page(html).problems() == []
    assert f"http://j:1/trace/{traces.trace_id('30')}" in html
    assert traces.trace_id("30") in done.stdout


@pytest.mark.usefixtures("filled")
def test_one_id_compares_its_first_run_with_its_last(gentrace: Run) -> None:
    found = answer(gentrace("compare", "28", "--json"))
    assert found["a"]["trace_id"] == traces.trace_id("28")
    assert found["b"]["trace_id"] == traces.trace_id("again")
    assert found["difference_s"] == 0


@pytest.mark.usefixtures("filled")
def test_faults_of_compare(gentrace: Run) -> None:
    assert "no generation '77'" in fault(gentrace("compare", "28", "77"), 4)
    assert "29 has one run only" in fault(gentrace("compare", "29"), 2)
