"""loguru's records name their trace, and its events stand on spans, each once."""

from __future__ import annotations

import inspect
import json
import logging
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import loguru
import pytest
from loguru import logger

from gentrace.core import profile, settings
from gentrace.runtime.guard import MAX_FAILURES
from gentrace.runtime.hooks import log_events, logs, logs_loguru
from gentrace.runtime.session import Session
from tests.runtime.hooks.test_logs import PROFILE, World
from tests.support.host import MemoryExporter

Core, Handler = loguru._logger.Core, loguru._handler.Handler  # pyright: ignore


class Sink:
    """A sink that keeps what it got."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def write(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def last(self) -> dict[str, Any]:
        """The ``extra`` of the last record."""
        return dict(self.messages[-1].record["extra"])

    @property
    def text(self) -> str:
        return str(self.messages[-1])


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """loguru without a sink, without the hooks of another session, and unconfigured afterwards."""
    if "patcher" in vars(Core):
        monkeypatch.delattr(Core, "patcher")
    monkeypatch.setattr(Handler, "emit", inspect.unwrap(Handler.emit))
    monkeypatch.setattr(logging.Logger, "makeRecord", inspect.unwrap(logging.Logger.makeRecord))
    logger.remove()
    logger.configure(patcher=lambda _record: None, extra={})
    yield
    logger.remove()
    logger.configure(patcher=lambda _record: None, extra={})


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    """logging and loguru hooked, as a session does, and unhooked again."""
    env = {"GENTRACE_SPOOL": str(tmp_path / "spool"), "OTEL_BSP_SCHEDULE_DELAY": "5"}
    session = Session(profile.parse(PROFILE, "test")[0], settings.read(env))
    session.pipeline.exporter = exporter = MemoryExporter()
    session.process.role = "worker"
    logs.install(session.engine, logging)
    logs_loguru.install(session.engine, loguru)
    try:
        yield World(session, exporter)
    finally:
        session.uninstall()


@pytest.fixture
def sink(world: World) -> Sink:
    """A sink of the host's that shows the message alone."""
    made = Sink()
    logger.add(made, format="{message}", level="INFO")
    return made


def test_records_in_a_generations_work_have_ids(world: World, sink: Sink) -> None:
    with world.work() as expected:
        logger.info("submit", account_id=3)
        assert sink.last == {"account_id": 3, **expected}
    assert sink.text == "submit\n"
    logger.info("outside")
    assert sink.last == {}
    assert world.events() == [("submit", {"account_id": 3})]


@pytest.mark.parametrize(
    "how", ["keyword", "bound", "contextualized", "configured", "patched", "patcher"]
)
def test_the_hosts_own_trace_id_stays(world: World, sink: Sink, how: str) -> None:
    def theirs(record: Any) -> None:
        record["extra"]["trace_id"] = "theirs"

    given: dict[str, Any] = {"trace_id": "theirs"}
    with world.work() as expected:
        if how == "keyword":
            logger.info("hello", **given)
        elif how == "bound":
            logger.bind(**given).info("hello")
        elif how == "contextualized":
            with logger.contextualize(**given):
                logger.info("hello")
        elif how == "patched":
            logger.patch(theirs).info("hello")
        else:
            if how == "configured":
                logger.configure(extra=given)
            else:
                logger.configure(patcher=theirs)
            logger.info("hello")
    assert sink.last == {
        "trace_id": "theirs",
        "otel_trace_id": expected["trace_id"],
        "span_id": expected["span_id"],
    }


def test_sinks_and_patchers_that_come_later_and_run_once(world: World) -> None:
    seen: list[str] = []

    def patcher(record: Any) -> None:
        seen.append(sys._getframe(1).f_code.co_name)
        record["extra"]["patched"] = len(seen)

    with world.work() as expected:
        logger.configure(patcher=patcher)
        first, second = Sink(), Sink()
        logger.add(first, format="{message} {extra[trace_id]}")
        logger.add(second, serialize=True)
        logger.bind(a=1).opt(lazy=True).info("submit {}", lambda: "it")
    assert seen == ["_log"]
    assert first.last == second.last == {"a": 1, "patched": 1, **expected}
    assert first.text == f"submit it {expected['trace_id']}\n"
    assert json.loads(second.text)["record"]["extra"] == first.last


def test_each_event_is_told_once_however_many_sinks_there_are(world: World, sink: Sink) -> None:
    def logs_itself(message: Any) -> None:
        if message.record["message"] == "submit":
            logging.getLogger("of a sink").warning("started")

    logger.add(logs_itself)
    logger.add(Sink(), serialize=True)
    with world.work():
        logger.info("submit", attempt=1)
        logger.info("submit", attempt=2)
        logger.info("Order {} queued on {q}", 7, q="fast")
    assert world.events() == [
        *(("submit", {"attempt": 1}), ("started", {})),
        *(("submit", {"attempt": 2}), ("started", {})),
        ("queued", {"queue": "fast"}),
    ]


def test_a_record_that_no_sink_wants_is_none(world: World, sink: Sink) -> None:
    with world.work():
        logger.debug("submit")
        logger.disable(__name__)
        logger.info("submit")
        logger.enable(__name__)
    assert sink.messages == []
    assert world.events() == []


@pytest.mark.parametrize("how", ["patcher", "patch"])
def test_what_a_patcher_redacts_is_so_on_the_span(world: World, sink: Sink, how: str) -> None:
    def redact(record: Any) -> None:
        record["extra"]["reason"] = "gone"

    if how == "patcher":
        logger.configure(patcher=redact)
    log = logger if how == "patcher" else logger.patch(redact)
    with world.work():
        log.info("submit", reason="secret_word")
    assert world.events() == [("submit", {"reason": "gone"})]


def test_a_sink_in_another_thread_shows_the_ids(world: World) -> None:
    sink, threads = Sink(), set[int]()

    def write(message: Any) -> None:
        threads.add(threading.get_ident())
        sink.write(message)

    logger.add(write, enqueue=True, format="{message}")
    with world.work() as expected:
        logger.info("submit")
    logger.complete()
    assert sink.last == expected
    assert threads != {threading.get_ident()}
    assert world.events() == [("submit", {})]


def test_an_exception_that_is_logged_and_a_function_that_is_watched(
    world: World, sink: Sink
) -> None:
    @logger.catch
    def watched() -> None:
        logging.getLogger("shop").warning("submit")
        raise ValueError("secret")

    with world.work() as expected:
        try:
            raise RuntimeError("secret")
        except RuntimeError as exc:
            logger.opt(exception=True).error("failed", error=exc)
        watched()
    assert {k: sink.last[k] for k in expected} == expected
    ((failed, attributes), (submitted, _)) = world.events()
    assert (failed, submitted) == ("failed", "submit")
    assert "secret" not in str(attributes)


# -- beside logging ----------------------------------------------------------------------------
class InterceptHandler(logging.Handler):
    """As loguru's documentation has it: the records of logging go to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame, depth = logging.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame = frame.f_back
            depth += 1
        logger.opt(depth=depth, exception=record.exc_info).log(level, record.getMessage())


@pytest.fixture
def shop() -> Generator[logging.Logger]:
    """A logger of logging's, whose records go nowhere else than its handlers say."""
    found = logging.getLogger("shop")
    found.propagate, level = False, found.level
    found.setLevel(logging.INFO)
    yield found
    found.handlers.clear()
    found.propagate = True
    found.setLevel(level)


def test_what_logging_hands_to_loguru_is_told_once(
    world: World, sink: Sink, shop: logging.Logger
) -> None:
    shop.addHandler(InterceptHandler())
    with world.work() as expected:
        shop.info("submit", extra={"account_id": 3})
        shop.info("Order %s queued on %s", 7, "fast")
        logger.info("submit", account_id=4)
    assert [message.record["function"] for message in sink.messages] == [
        test_what_logging_hands_to_loguru_is_told_once.__name__
    ] * 3
    assert all(expected.items() <= m.record["extra"].items() for m in sink.messages)
    assert world.events() == [
        ("submit", {"account_id": 3}),
        ("queued", {"queue": "fast"}),
        ("submit", {"account_id": 4}),
    ]


def test_another_event_that_a_handler_logs_is_not_lost(
    world: World, sink: Sink, shop: logging.Logger
) -> None:
    class Tells(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.info("started")

    shop.addHandler(Tells())
    with world.work():
        shop.info("submit")
    assert [name for name, _ in world.events()] == ["submit", "started"]


@pytest.mark.parametrize("how", ["handler", "propagating", "function"])
def test_what_loguru_hands_to_logging_is_told_once(
    world: World, shop: logging.Logger, how: str
) -> None:
    kept: list[logging.LogRecord] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    class Propagates(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            shop.handle(record)

    def function(message: Any) -> None:
        shop.log(message.record["level"].no, message.record["message"])

    shop.addHandler(Keeps())
    sinks: dict[str, Any] = {"handler": Keeps(), "propagating": Propagates(), "function": function}
    logger.add(sinks[how], format="{message}")
    with world.work() as expected:
        logger.info("submit", account_id=3)
    assert [record.getMessage() for record in kept] == ["submit"]
    assert expected.items() <= vars(kept[0]).items()
    assert world.events() == [("submit", {"account_id": 3})]


# -- the host is unharmed ----------------------------------------------------------------------
def test_afterwards_the_very_same_objects_are_back(world: World, sink: Sink) -> None:
    def patcher(record: Any) -> None:
        record["extra"]["patched"] = True

    emit = inspect.unwrap(Handler.emit)
    logger.configure(patcher=patcher)
    with world.work():
        world.session.uninstall()
        logger.info("submit")
    assert sink.last == {"patched": True}
    assert "patcher" not in vars(Core)
    assert vars(logger._core)["patcher"] is patcher  # pyright: ignore
    assert vars(Handler)["emit"] is emit


def test_a_failure_of_ours_is_none_of_the_hosts(
    world: World, sink: Sink, monkeypatch: pytest.MonkeyPatch, swallowed: list[Any]
) -> None:
    def failing(*_given: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(log_events.LogEvents, "of_loguru", failing)
    with world.work():
        for number in range(MAX_FAILURES + 3):
            logger.info("hello {}", number)
    assert [m.record["message"] for m in sink.messages][-1] == f"hello {MAX_FAILURES + 2}"
    assert len(swallowed) == MAX_FAILURES


def test_switched_off_there_is_nothing(tmp_path: Path) -> None:
    env = {"GENTRACE_SPOOL": str(tmp_path / "spool"), "GENTRACE_LOGS": "off"}
    session = Session(profile.parse(PROFILE, "test")[0], settings.read(env))
    logs_loguru.install(session.engine, loguru)
    assert session.engine.libraries["loguru"] == logs.OFF
    assert "patcher" not in vars(Core)
    session.uninstall()
