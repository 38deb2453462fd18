"""The Collector killed, Jaeger paused or restarted under load: what was answered is not lost.

GENTRACE_LONG_PAUSE=1 pauses Jaeger for half a minute; otherwise for a few seconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import httpx
import pytest

from gentrace.sources import processes
from tests.e2e import reading
from tests.e2e.test_collector import in_jaeger, poll
from tests.support import collector_files
from tests.support.lasting import lasting
from tests.support.otlp_proxy import OtlpProxy, proxy
from tests.support.programs import BIN
from tests.support.small_host import FOLDER, SmallHost, small_host
from tests.support.unscrubbed import a_span, send
from tools import servers

pytestmark = [pytest.mark.service("collector"), pytest.mark.service("jaeger")]

PAUSE_S = 30 if os.environ.get("GENTRACE_LONG_PAUSE") == "1" else 6
PACE_S = 0.4
WATCHED = Path(__file__).parent / "watched_host"
FATES = ("", "", "RETRYFILTER1", "", "", "", "BADPROMPT", "", "", "")
QUICK = {
    # Jaeger is asked again soon, so that a test need not wait for the tenth second.
    "exporters::otlp_grpc/jaeger::retry_on_failure::max_interval: 1s",
    "exporters::otlp_grpc/jaeger::retry_on_failure::initial_interval: 200ms",
    "exporters::otlp_grpc/jaeger::timeout: 3s",
}


@dataclass
class Load:
    """A host at work on many generations, in the background."""

    host: SmallHost
    proxy: OtlpProxy
    jaeger: servers.JaegerServer
    collector: servers.CollectorServer
    spool: Path
    ids: list[str] = field(default_factory=list[str])
    took: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """Of each request, when it was asked, and how long it took, without the wait for a CPU."""

    @contextmanager
    def submitting(self, count: int, pace_s: float) -> Generator[None]:
        """Submit so many in the meantime; after the block each one's run is out somewhere."""
        failed: list[BaseException] = []

        def submit() -> None:
            try:
                for number in range(count):
                    begun = time.monotonic()
                    fate = FATES[number % len(FATES)]
                    with lasting(self.host.api) as took:
                        self.ids.append(self.host.submit(f"a lighthouse {number} {fate}"))
                    self.took.append((begun, took[0]))
                    time.sleep(max(0.0, begun + pace_s - time.monotonic()))
            except BaseException as exc:
                failed.append(exc)

        thread = threading.Thread(target=submit)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        assert failed == []
        poll(lambda: not self.missing_runs(), every_s=1)

    def missing_runs(self) -> list[str]:
        """The generations whose run's span is out nowhere yet."""
        spans = [*self.proxy.answered(), *reading.spooled(self.spool)]
        runs = {s["attributes"]["generation.id"] for s in spans if s["name"] == "generation"}
        return [each for each in self.ids if each not in runs]

    def wait_answered(self, more: int) -> None:
        """Until so many more spans were answered with success."""
        before = len(self.proxy.answered())
        poll(lambda: len(self.proxy.answered()) >= before + more)

    def answered(self) -> set[tuple[str, str]]:
        """Trace and span id of each span that was answered, but for the processes' own."""
        return {
            (span["trace_id"], span["span_id"])
            for span in self.proxy.answered()
            if span["name"] != "gentrace.startup"
        }

    def p95_s(self, when: Callable[[float], bool]) -> float:
        """Of the requests that were asked then."""
        return quantiles([took for at, took in self.took if when(at)], n=20)[-1]


@contextmanager
def loaded(failed: Callable[[], bool], tmp_path: Path, *, badger: bool = False) -> Generator[Load]:
    """The host, a proxy that remembers, the Collector and Jaeger."""
    threads, spool = tmp_path / "threads", tmp_path / "spool"
    with (
        servers.jaeger(failed, badger=badger) as jaeger,
        servers.collector(failed, jaeger=jaeger, settings=sorted(QUICK)) as collector,
        proxy(collector.otlp_http) as remembers,
    ):
        env = {
            "GENTRACE": "1",
            "GENTRACE_SPOOL": str(spool),
            "OTEL_EXPORTER_OTLP_ENDPOINT": remembers.endpoint,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "4",
            "PYTHONPATH": os.pathsep.join([str(FOLDER), str(WATCHED)]),
            "WATCHED": str(threads),
        }
        with small_host(env, api=False, workers=0, failed=failed) as host:
            host.start_api(command=(str(BIN / "uvicorn"), "watched:app"))
            host.start_worker(command=(str(BIN / "arq"), "watched.WorkerSettings"))
            host.wait_ready()
            yield Load(host, remembers, jaeger, collector, spool)
        assert set(threads.read_text().split("\n")[:-1]) == {"gentrace-export"}


def nothing_answered_is_lost(load: Load) -> None:
    """Each span that was answered with success is in Jaeger and in the file."""
    answered = load.answered()
    assert len(answered) > 100
    poll(lambda: answered <= in_jaeger(load.jaeger), every_s=1)
    kept = collector_files.by_id(collector_files.spans(load.collector.traces))
    assert answered <= kept.keys()


def nothing_is_lost_at_all(load: Load) -> None:
    """Every generation is whole in what was answered and what the host spooled."""
    spans = [*load.proxy.answered(), *reading.spooled(load.spool)]
    whole = {"create_generation", "process_generation", "generation"}
    missing = [i for i in load.ids if not reading.complete([i], whole)(spans)]
    assert missing == []


def test_the_collector_killed_twice_under_load(
    anything_failed: Callable[[], bool], tmp_path: Path
) -> None:
    with loaded(anything_failed, tmp_path) as load:
        with load.submitting(200, pace_s=0.1):
            load.wait_answered(300)
            before = load.proxy.unanswered
            load.collector.process.kill()
            poll(lambda: load.proxy.unanswered > before)
            load.collector.process.start()  # soon enough for who tries again
            load.wait_answered(300)
            load.collector.process.kill()
            poll(lambda: bool(reading.spooled(load.spool)))  # not soon enough
            load.collector.process.start()
            load.wait_answered(50)
        said = [line for p in load.host.programs for line in p.said() if "tracing as" not in line]
        assert said
        for line in said:
            assert line.startswith(f"gentrace: spans could not be sent to {load.proxy.endpoint} (")
            assert f"they go to the spool {load.spool} instead" in line
        nothing_answered_is_lost(load)
        nothing_is_lost_at_all(load)
    records = processes.read(tmp_path / "spool")
    assert [record.text("spans_lost") for record in records] == ["0"] * 2


@pytest.mark.alone  # of a few requests, the slowest is looked at
def test_jaeger_pauses_and_the_host_does_not_notice(
    anything_failed: Callable[[], bool], tmp_path: Path
) -> None:
    with loaded(anything_failed, tmp_path) as load:
        # A pace that the host keeps up with: else its own backlog is what requests wait for.
        with load.submitting(60 + int(PAUSE_S / PACE_S), pace_s=PACE_S):
            poll(lambda: len(load.took) >= 30)
            load.jaeger.process.pause()
            paused = time.monotonic()
            load.wait_answered(20)
            poll(lambda: time.monotonic() >= paused + PAUSE_S)
            load.jaeger.process.resume()
            resumed = time.monotonic()
        assert load.proxy.unanswered == 0
        assert reading.spooled(load.spool) == []
        nothing_answered_is_lost(load)
        then = load.p95_s(lambda at: paused <= at < resumed)
        usual = load.p95_s(lambda at: not paused <= at < resumed)
        assert then < 2 * usual + 0.2, f"p95 of requests {usual:.3f} s, in the pause {then:.3f} s"


def test_jaeger_restarted_on_badger_storage(
    anything_failed: Callable[[], bool], tmp_path: Path
) -> None:
    with loaded(anything_failed, tmp_path, badger=True) as load:
        with load.submitting(80, pace_s=0.1):
            load.wait_answered(200)
            load.jaeger.process.stop()
            load.wait_answered(100)
            load.jaeger.process.start()
        assert load.proxy.unanswered == 0
        nothing_answered_is_lost(load)
        nothing_is_lost_at_all(load)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_what_waits_for_jaeger_outlives_the_collector(
    anything_failed: Callable[[], bool], how: str
) -> None:
    with (
        servers.jaeger(anything_failed) as jaeger,
        servers.collector(anything_failed, jaeger=jaeger, settings=sorted(QUICK)) as collector,
    ):
        jaeger.process.pause()
        trace_id = os.urandom(16).hex()
        for number in range(20):
            send(collector, [a_span(f"wait.{number}", trace_id)])
        getattr(collector.process, how)()
        jaeger.process.resume()
        collector.process.start()

        def arrived() -> bool:
            answer = httpx.get(f"{jaeger.url}/api/traces/{trace_id}", trust_env=False)
            # What Jaeger took while it was paused is sent again: it keeps such a span twice.
            spans = answer.json()["data"][0]["spans"] if answer.is_success else ()
            return len({span["spanID"] for span in spans}) == 20

        poll(arrived)
