"""The run store: generation id to trace and parent span, in the Redis that ARQ already uses.

Written and read on one thread of its own and one connection of its own, in order, so that the
host's event loop never waits on it but for one bounded read at first sight of a generation. It
fails open: without Redis the carrier alone joins the API and the worker.

Keys (``P`` is the profile's name): ``gentrace:P:run:<generation id>`` is a hash with ``trace``
and ``parent`` (a W3C traceparent each is made of), ``flags``; ``gentrace:P:trace:<trace id>`` is
the generation id. Both expire after :data:`TTL_S`.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from opentelemetry import trace

from gentrace.runtime import context, notices
from gentrace.runtime.context import Run

TTL_S = 24 * 3600
READ_TIMEOUT_S = 0.05
_MAX_WAITING = 10_000
_SOCKET_TIMEOUT_S = 1.0
_PAUSE_S = 5.0
_AGAIN_S = 10.0


class RunStore:
    """Remembers runs in Redis for the other processes.

    Args:
        profile: the profile's name, part of every key.
        url: where Redis is; None until ARQ's own pool has been seen.
    """

    def __init__(self, profile: str, url: str | None = None, fallback: str | None = None) -> None:
        self._prefix = f"gentrace:{profile}:"
        self._fixed = bool(url)
        self._where: Mapping[str, Any] | str | None = url
        self._fallback = fallback
        self._client: Any = None
        self._moved = False
        self._pool: Any = None
        self._work: queue.SimpleQueue[Callable[[Any], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._paused_until = 0.0
        self._asked: dict[str, float] = {}
        self._unwritten: dict[str, dict[str, str]] = {}
        self._stopped = False
        self.lost = 0

    def use_pool(self, connection_pool: Any, *, provisional: bool = False) -> None:
        """This pool carries the generations' jobs: its Redis is the store, unless configured."""
        if self._fixed or connection_pool is None or connection_pool is self._pool:
            return
        if provisional and self._where is not None:
            return  # any pool will do until one is seen to carry the generations' jobs
        self._pool = connection_pool
        given = dict(connection_pool.connection_kwargs)
        kept = {
            name: given[name]
            for name in ("host", "port", "db", "username", "password", "path", "unix_socket_path")
            if given.get(name) is not None
        }
        cls = getattr(connection_pool, "connection_class", None)
        if cls is not None and "SSL" in cls.__name__:
            kept["ssl"] = True
            kept.update({k: v for k, v in given.items() if k.startswith("ssl_") and v is not None})
        if cls is not None and "Unix" in cls.__name__ and "path" in kept:
            kept["unix_socket_path"] = kept.pop("path")
        if "host" not in kept and "unix_socket_path" not in kept:
            return  # no plain Redis (Sentinel, a fake): rather none than a guess
        with self._lock:
            if kept != self._where:
                self._where, self._moved = kept, True

    # -- writing ---------------------------------------------------------------------------
    def save(self, run: Run) -> None:
        """Keep the run's trace and parent for the other processes. Never waits.

        What is saved again before it was written is written once.
        """
        parent, generation_id = run.parent, run.generation_id
        if parent is None or generation_id is None:
            return
        fields = {
            "trace": f"{parent.trace_id:032x}",
            "parent": f"{parent.span_id:016x}",
            "flags": f"{int(parent.trace_flags):02x}",
        }
        with self._lock:
            waiting = generation_id in self._unwritten
            self._unwritten[generation_id] = fields
        if not waiting and not self._put(lambda client: self._write(client, run, generation_id)):
            with self._lock:
                self._unwritten.pop(generation_id, None)

    def _write(self, client: Any, run: Run, generation_id: str) -> None:
        with self._lock:
            fields = self._unwritten.pop(generation_id)
        if isinstance(client, _Nowhere):
            return
        key = f"{self._prefix}run:{generation_id}"
        if run.adopted and client.hget(key, "trace") not in (None, fields["trace"]):
            return  # it is traced after all: its own trace stays the one that others find
        pipe = client.pipeline(transaction=False)
        pipe.hset(key, mapping=fields)
        pipe.expire(key, TTL_S)
        if run.stored != fields["trace"]:
            pipe.set(f"{self._prefix}trace:{fields['trace']}", generation_id, ex=TTL_S)
        pipe.execute()
        run.stored = fields["trace"]

    # -- reading ---------------------------------------------------------------------------
    async def find(self, generation_id: str | None) -> Run | None:
        """The run of that generation: from memory, else one read of at most 50 ms.

        Only the first sight of a generation is waited for; what was not there then is asked for
        again in the background, at most every :data:`_AGAIN_S`.
        """
        known = context.find(generation_id)
        if known is not None or generation_id is None or self._source() is None:
            return known
        asked = self._asked.get(generation_id)
        now = time.monotonic()
        if asked is not None and now - asked < _AGAIN_S:
            return None
        if len(self._asked) > _MAX_WAITING:
            self._asked.clear()
        self._asked[generation_id] = now
        if asked is not None:
            self.prefetch(generation_id)
            return None
        return await self._ask(lambda client: self._read(client, generation_id))

    def prefetch(self, generation_id: str) -> None:
        """Read a run in the background, for whoever asks for it next."""
        if context.find(generation_id) is None and self._source() is not None:
            self._put(lambda client: self._remember(self._read(client, generation_id)))

    async def current(self, generation_id: str, sent: trace.SpanContext) -> Run:
        """The run that a job belongs to whose carrier names another trace than we know.

        The store decides; where it does not answer, the carrier is newer than our memory.
        """
        run = await self._ask(lambda client: self._read(client, generation_id), fresh=True)
        run = run or Run(generation_id, parent=sent, owned=True)
        context.remember(run)
        return run

    async def look_again(self, generation_id: str) -> Run | None:
        """One more read, before a generation is taken for one that nobody has traced."""
        return await self._ask(lambda client: self._read(client, generation_id))

    async def find_by_trace(self, trace_id: int) -> Run | None:
        """The run whose trace that is, as :meth:`find`."""
        known = context.find_by_trace(trace_id)
        if known is not None:
            return known

        def read(client: Any) -> Run | None:
            generation_id = client.get(f"{self._prefix}trace:{trace_id:032x}")
            return self._read(client, generation_id) if generation_id else None

        return await self._ask(read)

    def _read(self, client: Any, generation_id: str) -> Run | None:
        fields: dict[str, str] = client.hgetall(f"{self._prefix}run:{generation_id}")
        try:
            parent = trace.SpanContext(
                int(fields["trace"], 16),
                int(fields["parent"], 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(int(fields.get("flags", "01"), 16)),
            )
        except (KeyError, ValueError):
            return None
        return Run(generation_id, parent=parent, owned=True) if parent.is_valid else None

    async def _ask(self, read: Callable[[Any], Run | None], *, fresh: bool = False) -> Run | None:
        if self._stopped or self._source() is None or time.monotonic() < self._paused_until:
            return None
        answer: Future[Run | None] = Future()

        def answering(client: Any) -> None:
            if not answer.set_running_or_notify_cancel():
                return  # too late: nobody waits for it any more
            try:
                answer.set_result(read(client))
            except Exception:
                answer.set_result(None)
                raise

        self._put(answering, always=True)
        waited = asyncio.wrap_future(answer)
        # not wait_for: before Python 3.12 it can swallow a cancellation of the host's task
        done, _ = await asyncio.wait({waited}, timeout=READ_TIMEOUT_S)
        run = waited.result() if done else None
        return run if fresh else self._remember(run)

    @staticmethod
    def _remember(run: Run | None) -> Run | None:
        """Keep what was read, unless the process has met that run in the meantime."""
        if run is None:
            return None
        known = context.find(run.generation_id)
        if known is None:
            context.remember(run)
        return known or run

    # -- the thread ------------------------------------------------------------------------
    def _source(self) -> Mapping[str, Any] | str | None:
        return self._where if self._where is not None else self._fallback

    def _put(self, work: Callable[[Any], object], always: bool = False) -> bool:
        """Hand work to the thread; False when it is not taken, and counted."""
        if self._stopped or (self._work.qsize() > _MAX_WAITING and not always):
            self.lost += 1
            return False
        self._work.put(work)
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(
                        target=self._run, name="gentrace-store", daemon=True
                    )
                    self._thread.start()
        return True

    def _run(self) -> None:
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        with suppress_instrumentation():
            while (work := self._work.get()) is not None:
                try:
                    client = self._connected()
                    self.lost += isinstance(client, _Nowhere)
                    work(client)
                except Exception as exc:
                    self.lost += 1
                    self._paused_until = time.monotonic() + _PAUSE_S
                    notices.say_once(
                        "store",
                        f"the run store in Redis does not answer ({type(exc).__name__}); "
                        "polls and API calls may be missing from traces until it does",
                    )
        self._close()

    def _connected(self) -> Any:
        source = self._source()
        if source is None or time.monotonic() < self._paused_until:
            return _Nowhere()
        if self._moved:
            self._moved = False
            self._close()
        if self._client is None:
            import redis

            options: dict[str, Any] = {
                "decode_responses": True,
                "socket_timeout": _SOCKET_TIMEOUT_S,
                "socket_connect_timeout": _SOCKET_TIMEOUT_S,
            }
            self._client = (
                redis.Redis.from_url(source, **options)  # pyright: ignore[reportUnknownMemberType]
                if isinstance(source, str)
                else redis.Redis(**source, **options)
            )
        return self._client

    def after_fork(self) -> None:
        """In a forked child: no thread and no connection of the parent's."""
        self._work, self._thread, self._client = queue.SimpleQueue(), None, None
        self._lock, self._unwritten = threading.Lock(), {}

    def flush(self, timeout_s: float) -> None:
        """Wait until what was put so far has been written, or the time is over."""
        if self._thread is None or not self._thread.is_alive():
            return
        done = threading.Event()
        self._work.put(lambda _client: done.set())
        done.wait(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Write what waits, then end the thread and the connection."""
        self._stopped = True
        thread = self._thread
        if thread is not None and thread.is_alive():
            self._work.put(None)
            thread.join(timeout_s)

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except Exception:
                return


class _Nowhere:
    """Stands for Redis while there is none: takes every command, knows nothing."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def command(*_args: Any, **_kwargs: Any) -> Any:
            return self if name == "pipeline" else ({} if name == "hgetall" else None)

        return command
