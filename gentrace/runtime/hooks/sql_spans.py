"""A span for each statement and each connect: named after operation and table, with the attributes
of the conventions.

SQLAlchemy's own events on the classes are listened to, which reach every engine, whoever makes it
and whenever; the connect alone has no event before it. A cancelled statement is no failed one.

Observed on: SQLAlchemy 2.0 and 2.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from gentrace import __version__
from gentrace.core import names, sql_text
from gentrace.runtime import ambient, context, visibility
from gentrace.runtime.engine import Engine
from gentrace.runtime.telling import type_name
from gentrace.runtime.tracing import GatedTracerProvider
from gentrace.runtime.wrapping import replace

SCOPE = "gentrace.sqlalchemy"
_SPAN = "_gentrace_span"
_CAUSES = 8


class Conventions:
    """The names of attributes: the older ones, the stable ones, or both, as the host has chosen."""

    def __init__(self, chosen: Collection[str]) -> None:
        def these(area: str, old: str, new: str) -> tuple[str, ...]:
            if f"{area}/dup" in chosen:
                return old, new
            return (new,) if area in chosen else (old,)

        self.system = these("database", "db.system", "db.system.name")
        self.database = these("database", "db.name", "db.namespace")
        self.statement = these("database", "db.statement", "db.query.text")
        self.operation = these("database", "db.operation", "db.operation.name")
        self.table = these("database", "db.sql.table", "db.collection.name")
        self.host = these("http", "net.peer.name", "server.address")
        self.port = these("http", "net.peer.port", "server.port")


class SqlSpans:
    """Makes the spans, from :meth:`install` to :meth:`remove`."""

    def __init__(self, engine: Engine, provider: GatedTracerProvider) -> None:
        self._engine, self._guard = engine, engine.guard("sqlalchemy")
        self._tracer = provider.get_tracer(SCOPE, __version__)
        self._named = Conventions(engine.settings.conventions)
        self._known: WeakKeyDictionary[Any, tuple[str, dict[str, Any]]] = WeakKeyDictionary()
        self._undo: list[Callable[[], None]] = []

    @property
    def installed(self) -> bool:
        """Whether spans are made."""
        return bool(self._undo)

    def install(self) -> None:
        """Listen to all engines, those that are there and those to come."""
        from sqlalchemy import event
        from sqlalchemy.engine import Dialect
        from sqlalchemy.engine import Engine as SqlEngine

        flags = [_Flag(SqlEngine), _Flag(Dialect)]
        self._undo += [flag.restore for flag in flags]
        for name, listener in (
            ("before_cursor_execute", self._before),
            ("after_cursor_execute", self._after),
            ("handle_error", self._error),
        ):
            event.listen(SqlEngine, name, listener)
            self._undo.append(partial(event.remove, SqlEngine, name, listener))
        for flag in flags:
            flag.mark()
        restore = replace(SqlEngine, "connect", self._connect, self._engine.is_active)
        if restore is not None:
            self._undo.append(restore)

    def remove(self) -> None:
        """Listen no more; engines and classes are as they were."""
        undo, self._undo = self._undo, []
        for one in reversed(undo):
            one()
        self._known.clear()
        sql_text.forget()

    # -- statements ------------------------------------------------------------------------
    def _before(
        self, conn: Any, cursor: Any, statement: Any, _parameters: Any, at: Any, _many: Any
    ) -> None:
        try:
            if self._wanted():
                vars(at)[_SPAN] = self._begin(conn, cursor, statement)
        except Exception as exc:
            self._guard.failed(exc)

    def _wanted(self) -> bool:
        """Whether a span may begin here; this is all that a statement outside a run costs."""
        if self._guard.off or context.recording() is None:
            return False
        return self._engine.active and is_instrumentation_enabled()

    def _begin(self, conn: Any, cursor: Any, statement: str) -> Span:
        system, attributes = self._of_engine(conn.engine)
        attributes = attributes.copy()
        if "postgres" in system and conn.engine.url.host is None:
            self._set_from_driver(attributes, cursor)
        does = sql_text.outline(statement)
        for keys, value in (
            (self._named.statement, statement),
            (self._named.operation, does.operation),
            (self._named.table, does.table),
        ):
            _set(attributes, keys, value)
        name = str(does) or system
        return self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    def _after(
        self, _conn: Any, _cursor: Any, _statement: Any, _parameters: Any, at: Any, _many: Any
    ) -> None:
        if at is not None and _SPAN in vars(at):
            self._end(vars(at).pop(_SPAN), None)

    def _error(self, failed: Any) -> None:
        at = failed.execution_context
        if at is not None and _SPAN in vars(at):
            self._end(vars(at).pop(_SPAN), failed.original_exception, failed.sqlalchemy_exception)

    def _end(self, span: Span, exc: BaseException | None, shown: Any = None) -> None:
        try:
            if exc is not None:
                span.set_attribute(names.ERROR_TYPE, type_name(type(shown or exc)))
                if not is_cancellation(exc):
                    span.set_status(Status(StatusCode.ERROR))
            span.end()
            self._guard.passed()
        except Exception as failure:
            self._guard.failed(failure)

    # -- connects --------------------------------------------------------------------------
    def _connect(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """The span stands while the host connects: what a new connection asks first is below it."""
        span = token = None
        try:
            if self._wanted():
                _, attributes = self._of_engine(instance)
                span = self._tracer.start_span(
                    names.SQL_CONNECT, kind=SpanKind.CLIENT, attributes=attributes
                )
                token = ambient.attach(visibility.at_work_in(ambient.current(), span))
        except Exception as exc:
            self._guard.failed(exc)
        if token is None or span is None:
            return wrapped(*args, **kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as exc:
            context.leave(token)
            self._end(span, exc)
            raise
        context.leave(token)
        self._end(span, None)
        return result

    # -- databases -------------------------------------------------------------------------
    def _of_engine(self, engine: Any) -> tuple[str, dict[str, Any]]:
        """The system, and what its address says; remembered by engine."""
        known = self._known.get(engine)
        if known is None:
            url, named, attributes = engine.url, self._named, dict[str, Any]()
            system = _system(engine.name)
            _set(attributes, named.system, system)
            _set(attributes, named.database, url.database)
            _set(attributes, named.host, url.host)
            _set(attributes, named.port, url.port)
            known = self._known[engine] = (system, attributes)
        return known

    def _set_from_driver(self, attributes: dict[str, Any], cursor: Any) -> None:
        """Where the address names no host (a socket, several hosts), psycopg says which it is."""
        info = getattr(getattr(cursor, "connection", None), "info", None)
        if info is None:
            return
        socket = str(info.host or "").startswith("/")
        attributes["net.transport"] = "other" if socket else "ip_tcp"
        _set(attributes, self._named.database, info.dbname)
        _set(
            attributes,
            self._named.host,
            f"{info.host}/.s.PGSQL.{info.port}" if socket else info.host,
        )
        _set(attributes, self._named.port, None if socket else info.port)


class _Flag:
    """A class's note that somebody listens, which SQLAlchemy sets and never takes back.

    It stays while any of ours listens, in whatever order they come and go.
    """

    _NAME, _OURS = "_has_events", 1  # as true as True, which it is once the host listens, too
    _before: ClassVar[dict[Any, Any]] = {}
    _listening: ClassVar[Counter[Any]] = Counter()

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        if not self._listening[owner]:
            self._before[owner] = getattr(owner, self._NAME, None)
        self._listening[owner] += 1

    def mark(self) -> None:
        if self._before[self._owner] is False:
            setattr(self._owner, self._NAME, self._OURS)

    def restore(self) -> None:
        self._listening[self._owner] -= 1
        if self._listening[self._owner]:
            return
        before = self._before.pop(self._owner)
        if type(getattr(self._owner, self._NAME, None)) is int:
            setattr(self._owner, self._NAME, before)


def is_cancellation(exc: BaseException) -> bool:
    """Whether that is a cancellation or an exit, or was made of one (``raise … from``)."""
    cause: BaseException | None = exc
    for _ in range(_CAUSES):
        if cause is None:
            return False
        if not isinstance(cause, Exception):
            return True
        cause = cause.__cause__
    return False


def _set(attributes: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    if value:
        for key in keys:
            attributes[key] = value


def _system(dialect: str) -> str:
    if "sqlite" in dialect:
        return "sqlite"
    return "postgresql" if "postgres" in dialect else dialect
