"""What groups, fingerprints and the reading of rows owe beside the planted causes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gentrace.analysis import grouping
from gentrace.analysis.compare import ask, read
from gentrace.analysis.compare.ask import Side
from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.groups import groups
from gentrace.analysis.compare.model import RunRow
from gentrace.analysis.compare.slow import slow
from gentrace.analysis.compare.table import joined, table
from gentrace.core import names
from gentrace.core.spans import traces as grouped
from gentrace.sources.otlp_files import OtlpFiles
from tests.analysis.compare import planted
from tests.core import traces

SECOND = 10**9


def plain(seed: int = 100, n: int = 400) -> list[RunRow]:
    return planted.rows(planted.draw(seed, n))


@pytest.mark.parametrize("n", [0, 1, 7, 40])
def test_too_few_runs_are_said_to_be(n: int) -> None:
    runs = table(plain()[:n])
    for answer in (slow(runs), failing(runs)):
        assert list(answer.findings) == []
        assert answer.not_enough_data


def test_times_add_up_to_the_difference_of_the_means() -> None:
    runs = table(planted.planted(planted.slow_account, 100)[0])
    answer = slow(runs)
    a, b = answer.groups["slow"], answer.groups["rest"]
    difference = np.mean(a.durations) - np.mean(b.durations)
    assert sum(t.difference_s or 0 for t in answer.times.values()) == pytest.approx(difference)
    assert sum(t.share or 0 for t in answer.times.values()) == pytest.approx(1)


def test_unfinished_runs_are_counted_and_bound_the_median_from_below() -> None:
    rows = [replace(row, duration_s=None, outcome=None) if number % 3 == 0 else row
            for number, row in enumerate(plain())]  # fmt: skip
    runs = table(rows)
    everything = np.ones(len(runs), dtype=bool)
    found = groups(runs, everything, ~everything, ("all", "none")).groups["a"]
    assert (found.n, found.unfinished) == (400, 134)
    assert found.finished + found.unfinished == found.n
    naive = np.median([row.duration_s for row in rows if row.duration_s is not None])
    assert found.p50_s is not None
    assert found.p50_s > naive


def test_a_slow_kind_is_no_finding() -> None:
    made = planted.draw(100)
    model = made.text[names.MODEL][0]
    made.slow(np.array([m == model for m in made.text[names.MODEL]]), "provider_run", 5.0)
    assert list(slow(table(planted.rows(made))).findings) == []


def test_versions_beside_each_other() -> None:
    made = planted.draw(100)
    newer = np.array([v == "r2" for v in made.text[names.CODE_VERSION]])
    made.slow(newer, "worker")
    runs = table(planted.rows(made))
    mask = runs.holds(names.CODE_VERSION, "r2")
    first = groups(runs, mask, ~mask, ("r2", "r1")).findings[0]
    assert (first.kind, first.name, first.time) == ("time", "worker", "worker")
    assert first.effect > 0


def test_an_account_that_slowed_down_explains_a_week() -> None:
    made = planted.draw(100)
    newer = np.arange(made.n) >= made.n // 2
    mine = made.some(0.25)
    made.give(names.ACCOUNT_ID, "77", mine)
    made.slow(mine & newer, "provider_run", 2.5)
    runs = table(planted.rows(made))
    first = groups(runs, newer, ~newer, ("this week", "the last")).findings[0]
    assert (first.kind, first.value, first.time) == ("attribute", "77", "provider_run")


def test_runs_that_are_in_both_groups_count_in_neither() -> None:
    runs = table(plain())
    a, b = np.arange(400) < 250, np.arange(400) >= 150
    answer = groups(runs, a, b, ("a", "b"))
    assert [g.n for g in answer.groups.values()] == [150, 150]
    assert answer.notes


def test_a_fingerprints_history() -> None:
    rows = [
        replace(row, outcome="failed", error_code="boom", error_type="x.Boom")
        if 250 <= number < 330 and number % 3 == 0
        else replace(row, outcome="completed", error_code=None, error_type=None)
        for number, row in enumerate(plain())
    ]
    (found,) = failing(table(rows)).fingerprints
    assert found.fingerprint.startswith("boom Boom")
    assert (found.n, found.share) == (26, 1.0)
    assert not found.still_happening
    assert found.new_since is not None
    assert found.nearest_success is not None
    near = next(row for row in rows if row.trace_id == found.nearest_success.trace_id)
    newest = next(row for row in rows if row.trace_id == found.exemplars[0].trace_id)
    assert (near.outcome, near.kind) == ("completed", newest.kind)
    assert abs(near.start_ns - newest.start_ns) / SECOND == pytest.approx(
        found.nearest_success.apart_s
    )
    errors = [f for f in failing(table(rows)).findings if f.kind == "error"]
    assert errors
    assert errors[0].window is not None
    since = rows[200].start_ns
    assert failing(table(rows), since).fingerprints[0].new_since is not None
    assert failing(table(rows), rows[300].start_ns).fingerprints[0].new_since is None


def test_a_failure_that_came_with_a_version_is_new_since_it() -> None:
    rows = [
        replace(
            row,
            outcome="failed" if number >= 200 and number % 4 == 0 else "completed",
            error_code="boom" if number >= 200 and number % 4 == 0 else None,
            attributes={**row.attributes, names.CODE_VERSION: "r8" if number < 200 else "r9"},
        )
        for number, row in enumerate(plain())
    ]
    (found,) = failing(table(rows)).fingerprints
    assert (found.new_since, found.still_happening) == ("r9", True)


def test_joined_tables_are_the_table_of_all() -> None:
    rows = plain(n=60)
    parts = joined(table(rows[::2]), table(rows[1::2]))
    whole = table(rows)
    assert parts.start_ns.tolist() == whole.start_ns.tolist()
    assert list(parts.ids) == list(whole.ids)
    for name in whole.columns:
        told = [[part.column(name).at(row) for row in range(60)] for part in (parts, whole)]
        assert told[0] == told[1]
    for word in whole.tags[names.PROCESSES].words:
        masks = [part.holds(names.PROCESSES, word).tolist() for part in (parts, whole)]
        assert masks[0] == masks[1]


def test_rows_of_files_say_what_the_runs_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = [traces.completed(), traces.failed(), traces.unfinished(), traces.refused()]
    for number, tracer in enumerate(made):
        traces.write(tmp_path / "files" / f"spans-{number}.jsonl", tracer)
    runs = read.read(OtlpFiles(tmp_path / "files")).table
    wanted = table(read.rows(grouping.runs(grouped([s for t in made for s in t.spans]))))
    assert list(runs.ids) == list(wanted.ids)
    assert runs.ended.tolist() == wanted.ended.tolist()
    for name in (names.OUTCOME, names.MODEL, names.ACCOUNT_ID):
        told = [[part.column(name).at(row) for row in range(len(runs))] for part in (runs, wanted)]
        assert told[0] == told[1], name
    ended = runs.ended
    np.testing.assert_allclose(runs.seconds[ended], wanted.seconds[ended], atol=0.1)


def test_a_side_knows_short_names_windows_and_unfinished_runs() -> None:
    rows = plain()
    rows[3] = replace(rows[3], duration_s=None, outcome=None)
    runs = table(rows)
    assert Side((("outcome", "unfinished"),)).of(runs).sum() == 1
    account = Side((("account", rows[0].attributes[names.ACCOUNT_ID]),)).of(runs)
    assert account.sum() > 1
    assert ask.holds(runs, "process", "a1").all()
