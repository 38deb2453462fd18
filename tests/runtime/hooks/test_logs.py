"""The host's log records: ids on them, its events on spans, and nothing else changed about them."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import io
import json
import logging
import logging.handlers
import pickle
import queue
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_span_id, format_trace_id

from gentrace.core import names, profile, settings
from gentrace.runtime import context, notices
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.hooks import log_events, logs, logs_structlog
from gentrace.runtime.session import Session
from gentrace.runtime.tracing import below
from tests.support.host import MemoryExporter

PROMPT = "a lighthouse in the rain"
PROFILE = """
name = "shop"
packages = ["shop_of_these_tests"]
targets = []
[logs]
id = ["generation_id", "job_id"]
event = ["msg", "event"]
within = ["extra", "fields"]
messages = ["error"]
[errors]
messages = ["Shown"]
[[log_events]]
names = ["started", "submit"]
fields = ["account_id", "attempt", "reason", "status"]
[[log_events]]
names = ["failed"]
fields = ["error", "error_code"]
[[log_events]]
names = ["breather", "rest"]
fields = ["rest_s", "why"]
pause = "rest_s"
[[log_events]]
names = ["queued"]
text = ["Order {generation_id} queued on {queue}"]
fields = ["queue"]
"""


class Shown(Exception):
    """An error whose words the profile shows."""


class World:
    """Log libraries hooked for this test, and work in whose scope it logs."""

    def __init__(self, session: Session, exporter: MemoryExporter) -> None:
        self.session, self.exporter = session, exporter
        self.engine = session.engine

    @contextmanager
    def work(
        self, generation_id: str | None = "7", *, silent: bool = False, prompts: Any = (PROMPT,)
    ) -> Generator[dict[str, str]]:
        """A scope with a span; gives the ids that its records are to have."""
        span = self.engine.tracing.start("work", None, parent=below(None))
        at = span.get_span_context()
        run = Run(generation_id, parent=at, prompts=prompts)
        scope = Scope("poll" if silent else "job", run, silent=silent)
        token = context.enter(scope, None if silent else span)
        try:
            yield {
                "trace_id": format_trace_id(at.trace_id),
                "span_id": format_span_id(at.span_id),
            }
        finally:
            context.leave(token)
            scope.close()
            span.end()

    def span(self) -> ReadableSpan:
        """The one span that has ended."""
        assert self.session.pipeline.force_flush(60_000)
        (span,) = self.exporter.spans
        return span

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What stands on it, as exported."""
        return [(event.name, dict(event.attributes or {})) for event in self.span().events]


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    """Both libraries hooked, as a session does, and unhooked again."""
    with _world(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def unhooked() -> Generator[None]:
    """Without the hooks of another session in this process, for so long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.Logger, "makeRecord", inspect.unwrap(logging.Logger.makeRecord))
        if "_processors" in vars(structlog.BoundLoggerBase):
            patch.delattr(structlog.BoundLoggerBase, "_processors")
        yield


@contextmanager
def _world(folder: Path, **environment: str) -> Generator[World]:
    env = {"GENTRACE_SPOOL": str(folder / "spool"), "OTEL_BSP_SCHEDULE_DELAY": "5", **environment}
    session = Session(profile.parse(PROFILE, "test")[0], settings.read(env))
    session.pipeline.exporter = exporter = MemoryExporter()
    session.process.role = "worker"
    logs.install(session.engine, logging)
    logs_structlog.install(session.engine, structlog)
    try:
        yield World(session, exporter)
    finally:
        session.uninstall()
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()


class Records(logging.Handler):
    """Keeps the records that reach it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def last(self) -> dict[str, Any]:
        return self.records[-1].__dict__


@pytest.fixture
def kept() -> Generator[Records]:
    """What the logger `shop` makes."""
    handler = Records()
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    before, logger.level = logger.level, logging.INFO
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


shop = logging.getLogger("shop")


# -- logging -------------------------------------------------------------------------------
def test_records_of_a_run_have_its_ids(world: World, kept: Records) -> None:
    with world.work() as expected:
        shop.info("hello %s", "you")
    assert expected.items() <= kept.last.items()
    assert kept.records[-1].getMessage() == "hello you"
    shop.info("outside")
    assert not expected.keys() & kept.last.keys()


def test_the_innermost_span_is_the_one(world: World, kept: Records) -> None:
    with world.work() as outer:
        tracer = world.engine.tracing.tracer
        with tracer.start_as_current_span("inner", context.span_context()) as inner:
            shop.info("hello")
        inner_id = format_span_id(inner.get_span_context().span_id)
    assert (kept.last["trace_id"], kept.last["span_id"]) == (outer["trace_id"], inner_id)


def test_a_poll_without_a_span_names_what_it_would_hang_under(world: World, kept: Records) -> None:
    with world.work(silent=True) as expected:
        shop.info("started")
    assert expected.items() <= kept.last.items()
    assert world.events() == []


@pytest.mark.parametrize("theirs", ["0a1b-uuid", "", None, 7, uuid.UUID(int=5)])
def test_what_the_host_calls_trace_id_stays_its_own(
    world: World, kept: Records, theirs: Any
) -> None:
    with world.work() as expected:
        shop.info("hello", extra={"trace_id": theirs})
    assert kept.last["trace_id"] == theirs
    assert kept.last["otel_trace_id"] == expected["trace_id"]
    assert kept.last["span_id"] == expected["span_id"]


def test_the_hosts_own_record_factory_is_used_and_wins(world: World, kept: Records) -> None:
    before = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        record.__dict__["span_id"] = "theirs"
        return record

    logging.setLogRecordFactory(factory)
    try:
        with world.work() as expected:
            shop.info("hello")
        assert logging.getLogRecordFactory() is factory
    finally:
        logging.setLogRecordFactory(before)
    assert kept.last["span_id"] == "theirs"
    assert kept.last["otel_span_id"] == expected["span_id"]
    assert kept.last["trace_id"] == expected["trace_id"]


def test_a_record_says_the_same_of_its_place_as_ever(world: World, kept: Records) -> None:
    def said() -> dict[str, Any]:
        shop.warning("hello", stack_info=True)
        keys = ("pathname", "lineno", "funcName", "stack_info", "levelname", "name")
        return {key: kept.last[key] for key in keys}

    def with_work() -> dict[str, Any]:
        with world.work():
            return said()

    assert with_work() | {"stack_info": ""} == said() | {"stack_info": ""}
    assert kept.last["funcName"] == "said"
    stack = with_work()["stack_info"]
    assert str(logs.__file__) not in stack


def test_records_travel(world: World, kept: Records) -> None:
    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = logging.handlers.QueueHandler(waiting)
    shop.addHandler(handler)
    try:
        with world.work() as expected:
            shop.info("hello")
    finally:
        shop.removeHandler(handler)
    assert expected.items() <= pickle.loads(pickle.dumps(waiting.get())).__dict__.items()


def test_what_is_filtered_out_makes_neither_record_nor_event(world: World, kept: Records) -> None:
    with world.work():
        shop.debug("started")
    assert kept.records == []
    assert world.events() == []


def test_a_logger_that_makes_records_itself(world: World, kept: Records) -> None:
    class Own(logging.Logger):
        def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
            record = super().makeRecord(*args, **kwargs)
            record.msg = "changed"
            return record

    logger = Own("shop.own")
    logger.addHandler(kept)
    with world.work() as expected:
        logger.info("hello")
    assert kept.last["msg"] == "changed"
    assert expected.items() <= kept.last.items()


# -- events --------------------------------------------------------------------------------
def test_an_event_of_the_profile_stands_on_the_span(world: World, kept: Records) -> None:
    with world.work():
        shop.info("submit", extra={"account_id": 3, "attempt": 1, "password": "hunter2"})
        shop.info("something else", extra={"account_id": 3})
    assert world.events() == [("submit", {"account_id": 3, "attempt": 1})]


@pytest.mark.parametrize(
    "extra",
    [
        {"fields": {"generation_id": 7, "account_id": 3}},
        {"extra": {"job_id": "7", "fields": {"account_id": 3}}},
        {"event": "submit", "account_id": 3},
        {"account_id": 3, "reason": None, "attempt": object(), "status": ["a", "b"]},
    ],
)
def test_fields_stand_where_the_profile_says(
    world: World, kept: Records, extra: dict[str, Any]
) -> None:
    with world.work():
        shop.info("submit" if "event" not in extra else "a sentence", extra=extra)
    assert world.events() == [("submit", {"account_id": 3})]


def test_an_event_in_a_sentence(world: World, kept: Records) -> None:
    with world.work():
        shop.info("Order 7 queued on fast")
        shop.info("Order %s queued on %s", 7, "slow")
        shop.info("Order 8 queued on fast")
        shop.info("Order of the day")
    assert world.events() == [("queued", {"queue": "fast"}), ("queued", {"queue": "slow"})]


def test_an_event_of_another_generation_is_not_taken(world: World, kept: Records) -> None:
    with world.work():
        shop.info("submit", extra={"generation_id": 8})
    assert world.events() == []
    shop.info("submit", extra={"generation_id": 7})  # nobody is at work: nothing happens


def test_an_event_while_the_id_is_not_known(world: World, kept: Records) -> None:
    with world.work(None):
        shop.info("submit", extra={"generation_id": 8})
        shop.info("submit", extra={"account_id": 3})
    assert world.events() == [("submit", {"account_id": 3})]


def test_what_an_error_says_is_shown_for_types_that_the_profile_names(
    world: World, kept: Records
) -> None:
    def fails(error: Exception, says: str) -> None:
        try:
            raise error
        except Exception:
            shop.exception("failed", extra={"error": says, "error_code": "E1"})

    with world.work():
        fails(Shown(f"refused: {PROMPT}"), f"refused: {PROMPT}")
        fails(ValueError("of bob@example.com"), "of bob@example.com")
        fails(Shown("refused"), "something else")
        shop.info("failed", extra={"error": Shown("an object")})
    (_, shown), (_, hidden), (_, other), (_, given) = world.events()
    assert str(shown["error"]).startswith("refused: <prompt:24:")
    assert shown["error_code"] == "E1"
    assert str(hidden["error"]).startswith("<message:18:")
    assert str(other["error"]).startswith("<message:14:")
    assert given["error"] == "an object"


@pytest.mark.parametrize(
    ("prompts", "value", "shown"),
    [
        ((PROMPT,), "no slot", "no slot"),
        ((PROMPT,), f"no slot for {PROMPT}", "no slot for <prompt:"),
        ((), "no slot for you", "<text:15:"),
        ((), "no_slot", "no_slot"),
        ((), "eyJhbGciOi.eyJzdWIiOiIx.c2ln", "<token:"),
        ((PROMPT,), "mail bob@example.com", "mail <email:"),
    ],
)
def test_private_words_stay(
    world: World, kept: Records, prompts: tuple[str, ...], value: str, shown: str
) -> None:
    with world.work(prompts=prompts):
        shop.info("submit", extra={"reason": value})
    ((_, attributes),) = world.events()
    assert str(attributes["reason"]).startswith(shown)


def test_a_field_passes_on_its_own_event_only(world: World) -> None:
    with world.work():
        from opentelemetry import trace

        trace.get_current_span().add_event("another", {"account_id": 3})
        trace.get_current_span().add_event("submit", {"password": "x", "account_id": 3})
    assert world.events() == [("another", {}), ("submit", {"account_id": 3})]


@pytest.mark.parametrize(
    ("logged", "pause"),
    [(2.5, 2.5), (3, 3.0), ("0.25", 0.25), (0, None), (-1, None), ("soon", None), (True, None),
     (float("inf"), None), (float("nan"), None), (10**10, None), (None, None), ([1], None)],
)  # fmt: skip
def test_a_pause_is_told_in_seconds(world: World, kept: Records, logged: Any, pause: Any) -> None:
    with world.work():
        shop.info("breather", extra={"rest_s": logged, "why": "herd"})
    ((name, attributes),) = world.events()
    assert (name, attributes.get(names.PAUSE)) == ("breather", pause)
    assert attributes["why"] == "herd"


def test_an_event_that_is_no_pause_tells_none(world: World, kept: Records) -> None:
    with world.work():
        shop.info("submit", extra={"rest_s": 3.0})
    assert world.events() == [("submit", {})]


def test_a_span_takes_so_many(world: World, kept: Records) -> None:
    with world.work():
        for number in range(40):
            shop.info("started", extra={"attempt": number})
        shop.info("submit")
    told = [name for name, _ in world.events()]
    assert told.count("started") == log_events.OF_ONE_NAME
    assert told[-1] == "submit"
    assert (world.span().attributes or {})[names.LOG_EVENTS_LEFT_OUT] == 40 - told.count("started")


def test_a_message_that_cannot_be_formatted(world: World, kept: Records) -> None:
    shop.propagate = False  # pytest's own handler would fail on it, as it should
    try:
        with world.work():
            shop.info("Order %s queued %s", 7)
    finally:
        shop.propagate = True
    assert kept.last["msg"] == "Order %s queued %s"
    assert world.events() == []


# -- structlog -----------------------------------------------------------------------------
def configured(*more: Any, merge: bool = True, **options: Any) -> list[dict[str, Any]]:
    """structlog as a host configures it; what it rendered last is last in the list."""
    lines: list[dict[str, Any]] = []

    def render(_logger: Any, _method: str, event: Any) -> Any:
        lines.append(dict(event))
        return json.dumps(event, default=str)

    structlog.configure(
        processors=[*([structlog.contextvars.merge_contextvars] if merge else []), *more, render],
        logger_factory=structlog.PrintLoggerFactory(io.StringIO()),
        **options,
    )
    return lines


def test_the_ids_survive_what_the_host_clears(world: World) -> None:
    lines = configured()
    log = structlog.get_logger()
    with world.work() as expected:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id="r1")
        log.info("hello")
        structlog.contextvars.clear_contextvars()
        log.info("submit", account_id=3)
    log.info("outside")
    assert lines == [
        {"event": "hello", "request_id": "r1", **expected},
        {"event": "submit", "account_id": 3, **expected},
        {"event": "outside"},
    ]
    assert world.events() == [("submit", {"account_id": 3})]


@pytest.mark.parametrize("how", ["contextvar", "bound", "keyword", "processor"])
def test_structlogs_own_trace_id_stays(world: World, how: str) -> None:
    def sets(_logger: Any, _method: str, event: Any) -> Any:
        return {**event, "trace_id": "theirs"}

    lines = configured(*([sets] if how == "processor" else []))
    log, given = structlog.get_logger(), {}
    if how == "contextvar":
        structlog.contextvars.bind_contextvars(trace_id="theirs")
    elif how == "bound":
        log = log.bind(trace_id="theirs")
    elif how == "keyword":
        given = {"trace_id": "theirs"}
    with world.work() as expected:
        log.info("hello", **given)
    assert lines[-1] == {
        "event": "hello",
        "trace_id": "theirs",
        "otel_trace_id": expected["trace_id"],
        "span_id": expected["span_id"],
    }


def test_loggers_bound_or_cached_before_and_in_the_work(world: World) -> None:
    lines = configured(cache_logger_on_first_use=True, wrapper_class=structlog.BoundLogger)
    cached = structlog.get_logger()
    cached.info("first use")
    bound = cached.bind(a=1)
    with world.work() as expected:
        inside = cached.bind(b=2)
        for log in (cached, bound, inside, inside.bind(c=3), inside.unbind("b"), bound.new(d=4)):
            log.info("hello")
            assert {k: lines[-1][k] for k in expected} == expected
            assert lines[-1]["event"] == "hello"
    inside.info("outside")
    assert lines[-1] == {"event": "outside", "b": 2}
    config = structlog.get_config()["processors"]
    assert vars(inside)["_processors"] is config


def test_the_configuration_and_what_a_logger_shows_stay(world: World) -> None:
    configured()
    before = list(structlog.get_config()["processors"])
    log = structlog.get_logger().bind()
    with world.work():
        log.info("hello")
        assert repr(log).count("object at") == 0
        assert repr(before) in repr(log)
        assert structlog.get_config()["processors"] == before


def test_what_structlog_says_of_the_place_is_the_hosts(world: World) -> None:
    lines = configured(
        structlog.processors.CallsiteParameterAdder(),
        structlog.processors.StackInfoRenderer(),
    )

    def said() -> dict[str, Any]:
        structlog.get_logger().info("hello", stack_info=True)
        return lines[-1]

    with world.work():
        inside = said()
    assert inside["func_name"] == "said"
    assert inside["filename"] == Path(__file__).name
    assert str(logs_structlog.__file__) not in inside["stack"]
    assert {**inside, "stack": ""}.keys() - {"trace_id", "span_id"} == said().keys()


def test_events_that_are_dropped_or_filtered_are_none(world: World) -> None:
    def drop(_logger: Any, _method: str, event: Any) -> Any:
        raise structlog.DropEvent

    lines = configured(drop, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with world.work():
        structlog.get_logger().info("submit")
        structlog.get_logger().debug("submit")
    assert lines == []
    assert world.events() == []


def test_what_a_processor_redacts_or_renames(world: World) -> None:
    def redact(_logger: Any, _method: str, event: Any) -> Any:
        event["reason"] = "***"
        return event

    lines = configured(redact, structlog.processors.EventRenamer("message"))
    with world.work() as expected:
        structlog.get_logger().info("submit", reason="secret_word", account_id=3)
    assert lines[-1] == {"message": "submit", "reason": "***", "account_id": 3, **expected}
    ((name, attributes),) = world.events()
    assert name == "submit"
    assert attributes["account_id"] == 3
    assert "secret_word" not in str(attributes)


def test_the_message_field_may_name_the_event(world: World) -> None:
    configured()
    with world.work():
        structlog.get_logger().bind(job_id=7).info("pipeline", msg="started", attempt=2)
    assert world.events() == [("started", {"attempt": 2})]


def _plain(_logger: Any, _method: str, event: Any) -> Any:
    return event.pop("event"), event


BRIDGES: dict[str, list[Any]] = {
    "json": [structlog.processors.JSONRenderer()],
    "formatter": [structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    "kwargs": [structlog.stdlib.render_to_log_kwargs],
    "text": [lambda _logger, _method, event: event["event"]],
}


@pytest.mark.parametrize("bridge", BRIDGES)
def test_structlog_over_logging_makes_one_event(world: World, kept: Records, bridge: str) -> None:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *BRIDGES[bridge]],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    log = structlog.get_logger("shop")
    with world.work() as expected:
        log.info("submit", account_id=3)
        log.debug("submit", account_id=4)
    assert world.events() == [("submit", {"account_id": 3})]
    assert len(kept.records) == 1
    assert expected.items() <= kept.last.items()
    assert not [key for key in kept.last if key.startswith("otel_")]


async def test_structlogs_asynchronous_methods(world: World) -> None:
    lines = configured(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with world.work() as expected:
        await structlog.get_logger().ainfo("submit", account_id=3)
    assert expected.items() <= lines[-1].items()
    assert world.events() == [("submit", {"account_id": 3})]


def test_capture_logs(world: World) -> None:
    configured()
    with world.work(), structlog.testing.capture_logs() as captured:
        structlog.get_logger().info("submit", account_id=3)
    assert captured[0]["event"] == "submit"
    assert [name for name, _ in world.events()] == ["submit"]


@pytest.mark.parametrize("processors", [(), "generator"])
def test_odd_processors(world: World, processors: Any) -> None:
    taken: list[Any] = []
    chain = (p for p in [_plain]) if processors == "generator" else processors

    class Takes:
        def info(self, *args: Any, **kwargs: Any) -> None:
            taken.append((args, kwargs))

    log = structlog.wrap_logger(Takes(), processors=chain, wrapper_class=structlog.BoundLogger)
    with world.work():
        log.info("hello", a=1)
    assert len(taken) == 1


def test_the_hosts_own_errors_are_its_own(world: World) -> None:
    def fails(_logger: Any, _method: str, event: Any) -> Any:
        raise LookupError("theirs")

    configured(fails)
    with world.work(), pytest.raises(LookupError, match="theirs"):
        structlog.get_logger().info("submit")
    with world.work(), pytest.raises(TypeError):
        structlog.get_logger().info("submit", event="twice")


# -- on and off ----------------------------------------------------------------------------
def test_uninstrument_leaves_nothing(tmp_path: Path, kept: Records) -> None:
    original = logging.Logger.__dict__["makeRecord"]
    with _world(tmp_path) as world:
        lines = configured()
        assert logging.Logger.__dict__["makeRecord"] is not original
        with world.work():
            bound = structlog.get_logger().bind(a=1)
    assert logging.Logger.__dict__["makeRecord"] is original
    assert "_processors" not in vars(structlog.BoundLoggerBase)
    bound.info("hello")
    assert lines[-1] == {"event": "hello", "a": 1}


def test_switched_off(tmp_path: Path, kept: Records) -> None:
    original = logging.Logger.__dict__["makeRecord"]
    with _world(tmp_path, GENTRACE_LOGS="off") as world:
        lines = configured()
        with world.work():
            shop.info("submit")
            structlog.get_logger().info("submit")
        assert logging.Logger.__dict__["makeRecord"] is original
        assert "trace_id" not in kept.last
        assert lines == [{"event": "submit"}]
        assert world.events() == []
        assert world.engine.libraries == {"logging": logs.OFF, "structlog": logs.OFF}


def test_a_failure_of_ours_is_not_the_hosts(
    world: World, kept: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    swallowed: list[str] = []
    monkeypatch.setattr(notices, "on_swallowed", [lambda where, exc: swallowed.append(where)])

    def fails(*_args: Any) -> Any:
        raise RuntimeError("ours")

    lines = configured()
    with world.work():
        monkeypatch.setattr(logs, "ids", fails)
        monkeypatch.setattr(logs_structlog, "ids", fails)
        for _ in range(30):
            shop.info("hello")
            structlog.get_logger().info("hello")
    assert len(kept.records) == len(lines) == 30
    assert set(swallowed) == {"hook logs", "hook logs structlog"}
    assert len(swallowed) == 40  # then they are off


@pytest.mark.parametrize("where", ["tell", "OneEvent"])
def test_a_failure_late_in_structlogs_processing(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    swallowed: list[str] = []
    monkeypatch.setattr(notices, "on_swallowed", [lambda at, exc: swallowed.append(at)])

    def fails(*_args: Any) -> Any:
        raise RuntimeError("ours")

    lines = configured()
    monkeypatch.setattr(log_events.LogEvents if where == "tell" else logs_structlog, where, fails)
    with world.work():
        structlog.get_logger().info("submit")
    assert [line["event"] for line in lines] == ["submit"]
    assert swallowed == ["hook logs structlog"]


def test_tasks_and_threads_have_their_own(world: World) -> None:
    lines = configured()

    async def one(number: int) -> None:
        with world.work(str(number)) as expected:
            await asyncio.sleep(0)
            await asyncio.to_thread(structlog.get_logger().info, "hello", number=number)
            assert expected.items() <= next(x for x in lines if x["number"] == number).items()

    async def several() -> None:
        await asyncio.gather(*(one(number) for number in range(5)))

    run: Callable[..., Any] = contextvars.copy_context().run
    run(asyncio.run, several())
    assert len({line["trace_id"] for line in lines}) == 5


def test_the_profile_may_be_without_events(tmp_path: Path, kept: Records) -> None:
    bare = replace(profile.parse(PROFILE, "test")[0], log_events=())
    session = Session(bare, settings.read({"GENTRACE_SPOOL": str(tmp_path / "spool")}))
    logs.install(session.engine, logging)
    try:
        world = World(session, MemoryExporter())
        with world.work() as expected:
            shop.info("Order 7 queued on fast")
        assert expected.items() <= kept.last.items()
    finally:
        session.uninstall()
