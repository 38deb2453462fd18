"""Every fate that a generation can have, on the small host: what its run span says of it.

One day of the host serves most tests; what the run spans say is held against what others saw.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from gentrace.analysis import generations, timeline
from gentrace.analysis.filters import Filter
from gentrace.analysis.parts import Parts
from gentrace.analysis.runs import Run
from gentrace.analysis.stages import STAGES as STAGES_IN_ORDER
from gentrace.core.times import Kind, State
from gentrace.runtime.runs.record import KEPT, Record
from gentrace.runtime.runs.spans import WAITS
from gentrace.sources import open_source
from tests.e2e import reading, run_reading
from tests.e2e.run_reading import RunSpan, Seen, links_of
from tests.e2e.test_killed import SHORTENED
from tests.support.lasting import stretch
from tests.support.otlp_receiver import Span
from tests.support.programs import BIN, run
from tests.support.small_host import FINAL, FOLDER, SmallHost, small_host
from tests.support.waiting import PATIENCE_S

POLL_S, RENDER_S, SLOW_RENDER_S, GRACE_S, WAIT_S = 1, 0.4, 1.5, 2.0, 1
REQUEUE_AFTER_S = 3
HOST = {
    "GENTRACE": "1",
    "POLL_INTERVAL_S": str(POLL_S),
    "STANDIN_RENDER_S": str(RENDER_S),
    "STANDIN_SLOW_RENDER_S": str(SLOW_RENDER_S),
    "CANCEL_GRACE_S": str(GRACE_S),
    "ACCOUNT_COUNT": "8",
    "ACCOUNT_WAIT_S": str(WAIT_S),
    "AUTO_RETRY_MAX_ATTEMPTS": "1",
    "REQUEUE_AFTER_S": str(REQUEUE_AFTER_S),
    # a busy machine is no missing store
    "GENTRACE_TEST_TIMES": "gentrace.runtime.runs.reads:READ_TIMEOUT_S=5",
    "PYTHONPATH": os.pathsep.join([str(SHORTENED), str(FOLDER)]),
}
CLOSE_S = 0.05
CLOCK_S = 0.002  # the trigger has milliseconds
FANNED_OUT = 2


@dataclass(frozen=True)
class Fate:
    """What one generation was asked and what its run span must say.

    Attributes:
        polls: at least so many.
        spent: the least of some times, in seconds.
        never: times that are 0.
    """

    asked: Mapping[str, Any]
    outcome: str = "completed"
    tries: int = 1
    requeues: int = 0
    attempts: int = 1
    polls: int = 1
    error: str | None = None
    error_type: str | None = None
    wait_reason: str | None = None
    spent: Mapping[State, float] = field(default_factory=dict[State, float])
    never: frozenset[State] = frozenset({State.ACCOUNT_WAIT, State.RETRY_WAIT, State.HOLD})


def asking(words: str = "", **asked: Any) -> dict[str, Any]:
    """A request of a prompt of its own, which is what the stand-in goes by."""
    return {"prompt": f"a lighthouse {words}".strip(), **asked}


RUNNING = {State.PROVIDER_RUN: RENDER_S / 2}
NO_WAIT = frozenset({State.ACCOUNT_WAIT, State.RETRY_WAIT, State.HOLD})
EARLY = {
    "lost": Fate(asking("nobody hears of"), requeues=1, spent={State.QUEUE: 1.0}),
    "expired": Fate(asking("too late"), requeues=1, spent={State.QUEUE: 1.0}),
    "cancelled_pending": Fate(
        asking("unwanted"), "cancelled", tries=0, attempts=0, polls=0, spent={State.QUEUE: 0}
    ),
    "paused": Fate(
        asking("later"), tries=2, requeues=1, spent={State.HOLD: 1.0}, never=NO_WAIT - {State.HOLD}
    ),
}
"""Made while no worker runs."""
DAY = {
    "plain": Fate(asking("plain"), spent=RUNNING),
    "image": Fate(asking("still", operation="text_to_image"), spent=RUNNING),
    "sora": Fate(asking("of another provider", provider="sora"), spent=RUNNING),
    "slow": Fate(asking("SLOWRENDER"), spent={State.PROVIDER_RUN: SLOW_RENDER_S / 2}),
    "refused": Fate(asking("BADPROMPT"), "failed", polls=0, error="content_prompt_rejected"),
    "filtered_once": Fate(
        asking("FILTER1"), tries=2, attempts=2, polls=2, spent={State.PROVIDER_RUN: 2 * RENDER_S}
    ),
    "filtered": Fate(
        asking("FILTER"), "failed", tries=2, attempts=2, polls=2, error="content_filtered"
    ),
    "refiltered": Fate(
        asking("RETRYFILTER1"),
        tries=2,
        requeues=1,
        attempts=2,
        wait_reason="content_filtered_retry",
    ),
    "boom": Fate(
        asking("BOOM"),
        "failed",
        tries=2,
        attempts=2,
        polls=0,
        error="provider_unavailable",
        spent={State.FINISH: 1.0},
    ),
    "limit": Fate(
        asking("CONC1"), tries=2, requeues=1, attempts=2, wait_reason="account_concurrent_limit"
    ),
    "session": Fate(
        asking("SESSION1"), tries=2, requeues=1, attempts=2, wait_reason="account_auth_failure"
    ),
    "cancelled": Fate(
        asking("NEVERRENDER"), "cancelled", polls=1, spent={State.PROVIDER_RUN: GRACE_S - CLOSE_S}
    ),
    "overtaken": Fate(asking("SLOWRENDER in haste")),
    "retried_at_once": Fate(asking("BADPROMPT1 now"), tries=2, attempts=2),
    "retried_later": Fate(
        asking("BADPROMPT1 again"), "failed", polls=0, error="content_prompt_rejected"
    ),
    "scheduled": Fate(
        asking("tomorrow", provider="sora"),
        tries=2,
        requeues=1,
        spent={State.HOLD: 1.0},
        never=NO_WAIT - {State.HOLD},
    ),
}
NO_CREDITS = Fate(
    asking("for nothing"),
    tries=6,
    requeues=5,
    wait_reason="account_credits_wait",
    spent={State.ACCOUNT_WAIT: 4.5 * WAIT_S - 0.6},
    never=frozenset({State.RETRY_WAIT, State.HOLD}),
)
FATES = {**EARLY, **DAY}
STAGES = {
    "cancelled_pending": "queued",
    "refused": "submitted",
    "filtered": "provider",
    "boom": "submitted",
    "cancelled": "provider",
    "retried_later": "submitted",
}
"""How far those got that were not completed."""
LINKED = "retried_later"


@dataclass
class Day:
    """What was asked, and everything that was written of it.

    Attributes:
        ids: the generation of each fate.
        answered: what a request for the same as "plain" was answered with, by what answered it.
    """

    host: SmallHost
    ids: dict[str, str]
    fanned_out: list[str]
    answered: dict[str, str]
    spans: list[Span]
    runs: Mapping[str, list[RunSpan]]
    seen: Mapping[str, list[Seen]]
    listed: list[dict[str, Any]]
    stretch: float
    """How many times as long as alone on its machine the host took for its work."""

    def of(self, name: str) -> RunSpan:
        """The first run of that fate."""
        return self.runs[self.ids[name]][0]


@pytest.fixture(scope="module")
def day(anything_failed: Callable[[], bool]) -> Generator[Day]:
    """One day: first without a worker, then the crowd, then without credits."""
    with small_host(HOST, workers=0, failed=anything_failed) as host:
        run_reading.watch_statuses(host)
        ids = no_worker(host)
        host.start_worker()
        host.wait_ready()
        ids |= crowd(host)
        host.wait_final(i for name, i in ids.items() if name not in ("scheduled", "paused"))
        host.act(ids["paused"], "resume")
        retry(host, ids[LINKED])
        first = host.submit(**FIRST)
        host.wait_status(first, "completed")
        answered = {"dedup": again(host), "cache": again(host, forget="generation:hash:*")}
        assert set(answered.values()) == {first}
        ids["answering"] = first
        fanned_out = fan_out(host)
        ids["no_credits"] = no_credits(host)
        wanted = {i: 2 if name == LINKED else 1 for name, i in ids.items()}
        wanted |= dict.fromkeys(fanned_out, 1)
        host.api.wait_until(lambda: run_reading.spool_has(host.spool, wanted), "the runs")
        host.api.wait_until(
            lambda: ingested(host) >= run_reading.assets(host).total(), "what follows the ends"
        )
        listed = read(host, "list", "--limit", "0")["generations"]
        spans = reading.spooled(host.spool)
        runs, seen = run_reading.run_spans(spans), run_reading.statuses(host)
        slower = stretch([program for program in host.programs if program.alive])
        yield Day(host, ids, fanned_out, answered, spans, runs, seen, listed, slower)


FIRST: dict[str, Any] = {"prompt": "the same again", "request": {"force_new": False}}


def no_worker(host: SmallHost) -> dict[str, str]:
    """What happens before a worker is there; it finds the jobs lost, unwanted or put aside."""
    ids = {name: host.submit(**fate.asked) for name, fate in EARLY.items()}
    with Redis.from_url(host.redis.url, decode_responses=True) as client:  # pyright: ignore
        for name in ("lost", "expired"):
            client.delete(f"pixsim7:generation:enqueue_lease:{ids[name]}")
        jobs: Sequence[str] = client.zrange("arq:queue", 0, 1)  # pyright: ignore
        client.zrem("arq:queue", jobs[0])
        client.delete(*(f"arq:job:{job}" for job in jobs))
    host.cancel(ids["cancelled_pending"])
    host.act(ids["paused"], "pause")
    time.sleep(REQUEUE_AFTER_S)
    until_cron_s = 15 - time.time() % 30  # it runs every 30 s, and when the worker starts
    if 0 < until_cron_s + 1 < 8:
        time.sleep(until_cron_s + 1)
    return ids


def crowd(host: SmallHost) -> dict[str, str]:
    """Everything that happens with all in order; returns when all is over."""
    ids: dict[str, str] = {}
    for name, fate in DAY.items():
        due = datetime.now(UTC) + timedelta(seconds=8)
        more = {"scheduled_at": due.isoformat()} if name == "scheduled" else {}
        ids[name] = host.submit(**fate.asked, request=more)
        time.sleep(0.1)
    for name in ("overtaken", "cancelled"):
        of = ids[name]
        host.api.wait_until(lambda of=of: run_reading.submitted(host, of), "is submitted")
        host.cancel(of)
    host.wait_status(ids["retried_at_once"], "failed")
    host.act(ids["retried_at_once"], "retry")
    return ids


def again(host: SmallHost, forget: str = "") -> str:
    """Ask for the first generation once more; returns the id of the answer.

    Args:
        forget: keys that the host's Redis loses before.
    """
    with Redis.from_url(host.redis.url) as client:  # pyright: ignore[reportUnknownMemberType]
        for key in client.scan_iter(forget) if forget else ():
            client.delete(key)
    return host.submit(**FIRST)


def fan_out(host: SmallHost) -> list[str]:
    """Have the worker create some; returns their ids when they are over."""
    items = [{"generationType": "text_to_video", "prompt": f"fanned out {n}"} for n in range(2)]
    host.post("/api/v1/generation-chains/execute-fanout-ephemeral", {"items": items})
    end = time.monotonic() + PATIENCE_S
    while len(found := made_as(host, "fanned out%")) < len(items):
        assert time.monotonic() < end
        time.sleep(0.05)
    host.wait_final(found)
    return found


def retry(host: SmallHost, generation_id: str) -> None:
    """Have it made again once its failure has settled and its run is written."""
    host.api.wait_until(lambda: run_reading.spool_has(host.spool, {generation_id: 1}), "its run")
    host.act(generation_id, "retry")
    host.wait_status(generation_id, "completed")


def no_credits(host: SmallHost) -> str:
    """One that waits for credits; the worker that starts then finds them, and what was due."""
    host.control(credits=0)
    made = host.submit(**NO_CREDITS.asked)
    with Redis.from_url(host.redis.url, decode_responses=True) as client:  # pyright: ignore
        jobs = f"gentrace:pixsim7:run:{made}"
        host.api.wait_until(
            lambda: (
                json.loads(client.hget(jobs, "record") or "{}")  # pyright: ignore
                .get("counts", {})
                .get("generation.requeues", 0)
                >= NO_CREDITS.requeues
            ),
            "has waited",
        )
    host.control(credits=1000)
    host.start_worker()
    host.wait_final([made])
    return made


def ingested(host: SmallHost) -> int:
    """How many jobs that follow an end have been written."""
    return sum(s["name"] == "process_ingestion" for s in reading.spooled(host.spool))


def made_as(host: SmallHost, prompt: str) -> list[str]:
    """The generations with such a prompt."""
    with closing(sqlite3.connect(host.database, timeout=10)) as db:
        query = "SELECT id FROM generations WHERE final_prompt LIKE ? ORDER BY id"
        return [str(row[0]) for row in db.execute(query, (prompt,))]


def read(host: SmallHost, command: str, *options: str) -> dict[str, Any]:
    """What a command of gentrace answers from the spool."""
    words = [str(BIN / "gentrace"), command, "--source", str(host.spool), "--json", *options]
    answer = run(words, host.folder)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


# -- what the run spans say ----------------------------------------------------------------
@pytest.mark.parametrize("name", [*FATES, "no_credits"])
def test_a_run_span_says_how_it_went(day: Day, name: str) -> None:
    fate, told = FATES.get(name, NO_CREDITS), day.of(name)
    got = {word: told.get(word) for word in ("outcome", "stage", "attempts", "run")}
    assert got == {
        "outcome": fate.outcome,
        "stage": STAGES.get(name, "finished"),
        "attempts": fate.attempts,
        "run": 1,
    }
    if name == "no_credits":
        assert told.get("tries") == told.get("requeues") + 1 >= fate.tries
    else:
        assert (told.get("tries"), told.get("requeues")) == (fate.tries, fate.requeues)
    assert told.get("polls") >= fate.polls
    assert (told.get("polls") > 0) == (fate.polls > 0)
    assert told.get("error.code") == fate.error
    assert ("error.type" in told.span["attributes"]) == (fate.error is not None)
    assert told.span["status"]["code"] == ("ERROR" if fate.outcome == "failed" else "UNSET")
    assert told.get("wait_reason") == fate.wait_reason
    assert "gentrace.incomplete" not in told.span["attributes"]
    assert "gentrace.late_events" not in told.span["attributes"]


@pytest.mark.parametrize("name", [*FATES, "no_credits"])
def test_its_times_add_up_and_explain_it(day: Day, name: str) -> None:
    fate, told = FATES.get(name, NO_CREDITS), day.of(name)
    times = told.times
    assert sum(times.values()) == pytest.approx(told.duration_s, abs=1e-6)
    assert min(times.values()) >= 0
    assert times[State.UNEXPLAINED] <= max(CLOSE_S * day.stretch, 0.02 * told.duration_s)
    for state, least_s in fate.spent.items():
        assert times[state] >= least_s, state
    assert {state: times[state] for state in fate.never} == dict.fromkeys(fate.never, 0)
    if fate.attempts == 0:
        assert set(times) - {s for s in times if not times[s]} == {State.API, State.QUEUE}


def test_every_run_has_one_trace_and_one_span(day: Day) -> None:
    everyone = {**dict.fromkeys(day.ids.values(), 1), **dict.fromkeys(day.fanned_out, 1)}
    everyone[day.ids[LINKED]] = 2
    assert {i: len(runs) for i, runs in day.runs.items()} == everyone
    traces = [run.span["trace_id"] for runs in day.runs.values() for run in runs]
    assert len(set(traces)) == len(traces)
    assert reading.orphans(day.spans) == []
    for runs in day.runs.values():
        for told in runs:
            assert len(reading.roots(told.trace)) == 1
            assert [s["name"] for s in told.trace].count("generation") == 1


# -- what others saw -----------------------------------------------------------------------
def agree(day: Day, apart_s: Sequence[float]) -> None:
    """Moments are close; many are less so, and all are where the machine is busy."""
    found = sorted(round(each, 3) for each in apart_s)
    assert found[len(found) // 4] <= CLOSE_S * day.stretch, found
    assert found[-1] < 3 * day.stretch, found


def test_a_run_ends_when_the_database_says_so(day: Day) -> None:
    ends: list[float] = []
    for generation_id, runs in day.runs.items():
        seen = day.seen[generation_id]
        finals = [each for each in seen if each.status in FINAL]
        last = finals[-len(runs) :]
        assert [told.get("outcome") for told in runs] == [each.status for each in last]
        ends += [told.end_s - each.at_s for told, each in zip(runs, last, strict=True)]
    assert min(ends) >= -CLOCK_S  # the trigger comes before the commit
    agree(day, ends)


def test_its_submission_begins_when_the_database_says_that_it_is_processed(day: Day) -> None:
    begun = executes(day)
    seen = [s.at_s for each in day.seen.values() for s in each if s.status == "processing"]
    assert len(begun) == len(seen)
    after = [at - before for at, before in zip(begun, sorted(seen), strict=True)]
    assert min(after) >= -CLOCK_S
    agree(day, after)


def test_jobs_begin_and_end_when_arq_says_so(day: Day) -> None:
    tries = [each for runs in run_reading.tries(day.host).values() for each in runs]
    kept = everything(day)
    agree(
        day,
        run_reading.apart(
            [each.start_s for each in tries], run_reading.moments(kept, Kind.JOB_STARTED)
        ),
    )
    ends = [
        at
        for kind in (Kind.JOB_OVER, Kind.JOB_FAILED, Kind.NO_CHANGE)
        for at in run_reading.moments(kept, kind)
    ]
    agree(day, run_reading.apart(ends, [each.end_s for each in tries]))


def test_the_provider_has_it_while_the_stand_in_says_so(day: Day) -> None:
    kept, asked = everything(day), run_reading.submissions(day.host)
    begun = executes(day)
    answered = run_reading.moments(kept, Kind.SUBMITTED)
    assert len(begun) == len(asked)
    after = [at - before for at, before in zip(asked, begun, strict=True)]
    assert min(after) >= -CLOCK_S
    assert max(after) < day.stretch  # it writes a row of its own in between
    agree(day, run_reading.apart(answered, asked))
    done = run_reading.moments(kept, Kind.PROVIDER_DONE)
    polled = run_reading.polls(day.host)
    assert len(done) > 10
    agree(day, [max(0.0, each - POLL_S) for each in run_reading.apart(done, polled)])


def test_a_provider_run_ends_within_a_poll_of_the_render(day: Day) -> None:
    late: list[float] = []
    slow = {day.ids["slow"], day.ids["overtaken"]}
    for generation_id, (told, *_) in day.runs.items():
        waits = told.named("provider.wait")
        if told.get("outcome") != "completed" or len(waits) != 1:
            continue  # of several submissions
        attributes = waits[0]["attributes"]
        assert attributes["generation.polls"] >= 1
        assert attributes["generation.provider.status"] == "completed"
        waited_s = (waits[0]["end_ns"] - waits[0]["start_ns"]) / 1e9
        late.append(waited_s - (SLOW_RENDER_S if generation_id in slow else RENDER_S))
    assert len(late) >= 8
    agree(day, [max(0.0, each - POLL_S) for each in late])


def executes(day: Day) -> list[float]:
    """When each submission began, in seconds."""
    return sorted(s["start_ns"] / 1e9 for s in day.spans if s["name"] == "provider.execute")


def everything(day: Day) -> list[Record]:
    """Every run in the store."""
    return [run for runs in run_reading.records(day.host).values() for run in runs]


# -- what readers say ----------------------------------------------------------------------
def test_readers_give_the_run_spans_times(day: Day) -> None:
    rows = {(row["id"], row["run"]): row for row in day.listed if row["id"] is not None}
    runs = [told for found in day.runs.values() for told in found]
    assert rows.keys() == {(told.get("id"), told.get("run")) for told in runs}
    for told in runs:
        row = rows[told.get("id"), told.get("run")]
        same_times(row["times"], told)
        assert row["duration_s"] == pytest.approx(told.duration_s, abs=CLOSE_S)
        assert (row["outcome"], row["tries"]) == (told.get("outcome"), told.get("tries"))
        assert row["error_code"] == told.get("error.code")


def test_show_gives_every_run(day: Day) -> None:
    answer = read(day.host, "show", day.ids[LINKED])
    found = answer["runs"]
    assert [each["run"] for each in found] == [1, 2]
    for each, told in zip(found, day.runs[day.ids[LINKED]], strict=True):
        same_times(each["times"], told)


def same_times(times: Mapping[str, float], told: RunSpan) -> None:
    """A reader's answer against the run span."""
    assert times == {f"{s}_s": pytest.approx(t, abs=CLOSE_S) for s, t in told.times.items()}


def test_the_spans_alone_give_the_same_times(day: Day) -> None:
    source = open_source(str(day.host.spool))
    found = {(run.id, run.number): run for run in generations.listing(source, Filter()).runs}
    for runs in day.runs.values():
        for told in runs:
            parts = found[told.get("id"), told.get("run")].parts
            if told.get("id") == day.ids["no_credits"]:
                continue  # of its many tries only the first have spans
            made = {"generation", *WAITS.values()}
            derived = timeline.times(Parts([s for s in parts.spans if s.name not in made]))
            assert derived.ended
            spent = {s: ns / 1e9 for s, ns in derived.spent_ns.items()}
            far = {s: abs(spent.get(s, 0) - told.times[s]) for s in State}
            assert max(far.values()) < CLOSE_S, (told.get("id"), far)


def test_the_spans_alone_tell_the_same(day: Day) -> None:
    source = open_source(str(day.host.spool))
    found = {(run.id, run.number): run for run in generations.listing(source, Filter()).runs}
    for runs in day.runs.values():
        for told in runs:
            whole = found[told.get("id"), told.get("run")]
            made = {"generation", *WAITS.values()}
            parts = Parts([s for s in whole.parts.spans if s.name not in made])
            alone = Run(whole.id, whole.number, whole.trace, parts)
            for each in (whole, alone):
                assert each.stage == told.get("stage"), told.get("id")
                assert each.error_type == told.span["attributes"].get("error.type")
                assert each.error_code == told.get("error.code")
                assert each.error_cause == told.get("error.cause")
                assert each.error_message == told.get("error.message")
                asked = (each.operation, each.provider, each.model)
                assert asked == tuple(told.get(n) for n in ("operation", "provider", "model"))


def test_no_run_got_further_than_its_counts(day: Day) -> None:
    for told in (told for runs in day.runs.values() for told in runs):
        stage = STAGES_IN_ORDER.index(told.get("stage"))
        assert (told.get("tries") > 0) == (stage >= STAGES_IN_ORDER.index("started"))
        assert (told.get("attempts") > 0) == (stage >= STAGES_IN_ORDER.index("submitted"))
        assert all(told.get(name) for name in ("operation", "provider"))


def test_every_submission_names_its_row(day: Day) -> None:
    executes = [s for s in day.spans if s["name"] == "provider.execute"]
    assert len(executes) > len(DAY)
    assert all("generation.submission.id" in s["attributes"] for s in executes)


# -- runs and links ------------------------------------------------------------------------
def test_a_retry_of_what_has_settled_is_a_new_run(day: Day) -> None:
    first, second = day.runs[day.ids[LINKED]]
    assert (second.get("run"), second.get("outcome")) == (2, "completed")
    ran = run_reading.tries(day.host)[day.ids[LINKED]]  # more where a cron enqueued it, too
    assert int(first.get("tries")) + int(second.get("tries")) == len(ran) >= 2
    assert second.span["trace_id"] != first.span["trace_id"]
    assert second.links("previous_run") == [(first.span["trace_id"], first.span["span_id"])]
    assert second.get("attempts") == 1
    assert second.get("requeues") == int(second.get("tries")) - 1
    (root,) = reading.roots(second.trace)
    assert root["name"].endswith("/retry")
    assert links_of(root, "previous_run")
    for name in ("operation", "provider", "model", "user.id", "hash"):
        assert second.get(name) == first.get(name) is not None


def test_answers_of_dedup_and_cache_link_to_the_run_that_answers(day: Day) -> None:
    answering = day.of("answering")
    answers = [s for s in day.spans if "generation.returned.id" in s["attributes"]]
    made = [s for s in answers if s["name"] == "create_generation"]
    assert len(made) == len(day.answered) == 2
    found: set[tuple[str, str]] = set()
    for span in made:
        assert span["attributes"]["generation.returned.id"] == day.ids["answering"]
        assert span["attributes"]["generation.returned.status"] == "completed"
        (linked,) = links_of(span, "returned_run")
        assert linked[0] == answering.span["trace_id"] != span["trace_id"]
        assert "generation.id" not in span["attributes"]
        told = span["attributes"]
        found.add((told["generation.dedup"], told.get("generation.cache", "off")))
    assert found == {("hit", "off"), ("miss", "hit")}


def test_a_fan_out_makes_a_trace_for_each(day: Day) -> None:
    for generation_id in day.fanned_out:
        (told,) = day.runs[generation_id]
        (root,) = reading.roots(told.trace)
        assert root["name"] == "create_generation"
        caller = "job:process_ephemeral_fanout_execution"
        assert root["attributes"]["gentrace.caller"] == caller
        assert told.get("outcome") == "completed"
        assert told.span["start_ns"] <= root["start_ns"]


def test_what_follows_the_end_joins_the_trace(day: Day) -> None:
    made = run_reading.assets(day.host)
    for name in ("plain", "image", "filtered_once", "no_credits"):
        told = day.of(name)
        jobs = told.named("process_ingestion")
        assert len(jobs) == made[day.ids[name]] > 0  # a busy host's polls may both make one
        for job in jobs:
            assert job["attributes"]["generation.id"] == day.ids[name]
            assert job["end_ns"] > told.span["end_ns"] - 5 * 10**9


def test_who_else_acted_is_named(day: Day) -> None:
    requeued = [
        s["attributes"].get("gentrace.caller")
        for s in day.of("lost").named("enqueue process_generation")
    ]
    assert requeued == [None, "cron:requeue_pending_generations"]
    (finish,) = day.of("cancelled_pending").named("generation.finish")
    assert finish["attributes"]["gentrace.caller"] == "request"


# -- long stories --------------------------------------------------------------------------
def test_a_job_that_changes_nothing_is_kept_three_times(day: Day) -> None:
    told = day.of("no_credits")
    jobs = told.named("process_generation")
    assert told.get("tries") > KEPT + 1
    assert len(jobs) == KEPT + 1
    said = [job["attributes"]["generation.job.status"] for job in jobs]
    assert said == ["requeued"] * KEPT + ["submitted"]
    assert len(told.named("enqueue process_generation")) == KEPT + 1
    assert len(told.named("account.wait")) == KEPT
    last = {s["span_id"] for s in jobs[-1:]}
    assert any(s["parent_span_id"] in last for s in told.named("account.select"))
    assert any(s["parent_span_id"] in last for s in told.named("provider.execute"))


def test_waits_are_spans_with_their_reason(day: Day) -> None:
    told = day.of("no_credits")
    reasons = [w["attributes"]["generation.wait_reason"] for w in told.named("account.wait")]
    assert reasons == ["account_credits_wait"] * KEPT
    for name in FATES:
        waited = sum(s["end_ns"] - s["start_ns"] for s in day.of(name).named("queue.wait")) / 1e9
        assert waited == pytest.approx(day.of(name).times[State.QUEUE], abs=CLOSE_S), name


def test_a_job_that_comes_too_late_says_so(day: Day) -> None:
    told = day.of("cancelled_pending")
    (job,) = told.named("process_generation")
    assert job["attributes"]["generation.job.status"] == "skipped"
    assert told.get("tries") == 0
    assert job["start_ns"] > told.span["end_ns"]
