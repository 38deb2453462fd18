"""The run store's connection: made when needed, left alone for a while when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from gentrace.runtime import notices
from gentrace.runtime.store.wire import Refused

PAUSE_S = 5.0
_SOCKET_TIMEOUT_S = 1.0
_MEMORY_LIMIT = 0.8
_MEMORY_EVERY_S = 15.0

Where = Mapping[str, Any] | str


def is_outage(exc: Exception) -> bool:
    """Whether Redis is away or takes no writes, so that the next command would fail, too."""
    from redis import exceptions

    if isinstance(exc, Refused):
        return exc.is_outage
    away = (OSError, exceptions.ConnectionError, exceptions.TimeoutError)
    return isinstance(exc, (*away, exceptions.ReadOnlyError, exceptions.OutOfMemoryError))


_KEPT = ("host", "port", "db", "username", "password", "path", "unix_socket_path")


def place_of(pool: Any) -> Mapping[str, Any] | None:
    """Where a pool of the host's leads to; None where that is no plain Redis (a fake): rather no
    store than a guess."""
    given = dict(pool.connection_kwargs)
    names = (*_KEPT, "credential_provider")
    kept = {name: given[name] for name in names if given.get(name) is not None}
    cls = getattr(pool, "connection_class", None)
    if cls is not None and "SSL" in cls.__name__:
        kept["ssl"] = True
        kept.update({k: v for k, v in given.items() if k.startswith("ssl_") and v is not None})
    if cls is not None and "Unix" in cls.__name__ and "path" in kept:
        kept["unix_socket_path"] = kept.pop("path")
    manager = getattr(pool, "sentinel_manager", None)
    if manager is not None:
        nodes = [dict(each.connection_pool.connection_kwargs) for each in manager.sentinels]
        kept["sentinels"] = [(node["host"], int(node["port"])) for node in nodes]
        kept["service_name"] = str(pool.service_name)
        kept["sentinel_kwargs"] = dict(manager.sentinel_kwargs)
        kept.pop("host", None)
        kept.pop("port", None)
        return kept
    return kept if "host" in kept or "unix_socket_path" in kept else None


class NoRedis(ConnectionError):
    """No Redis is known: the host made no pool yet, and no variable names one."""


class Connection:
    """One connection to the Redis of the moment; used on the store's thread, looked at by all.

    Args:
        where: gives the Redis to use now, None while there is none.

    Attributes:
        troubled: Redis failed when it was last asked, or was not asked yet.
        full: it has little room left.
    """

    def __init__(self, where: Callable[[], Where | None]) -> None:
        self._where = where
        self.renew()

    def renew(self) -> None:
        """Begin anew; nothing is said to a server that a parent process talks to."""
        self._moved = False
        self._client: Any = None
        self._paused_until = 0.0
        self.troubled = True
        self.full = False
        self._memory_at = 0.0

    @property
    def paused(self) -> bool:
        """Redis did not answer lately."""
        return time.monotonic() < self._paused_until

    @property
    def paused_s(self) -> float:
        """For how long it is left alone yet."""
        return max(0.0, self._paused_until - time.monotonic())

    def move(self) -> None:
        """Another Redis from now on."""
        self._moved, self._paused_until, self.troubled = True, 0.0, True
        self._memory_at, self.full = 0.0, False

    def failed(self, exc: Exception) -> bool:
        """Pause after a failure; False where another try would fail in the same way."""
        from redis import exceptions

        if not is_outage(exc):
            notices.swallowed("run store", exc)
            return False
        self._paused_until = time.monotonic() + PAUSE_S
        self.troubled = True
        self.close()
        refused = exc.kind if isinstance(exc, Refused) else ""
        if refused == "OOM" or isinstance(exc, exceptions.OutOfMemoryError):
            self._say_full()
            return True
        said = f"the run store in Redis does not answer ({type(exc).__name__})"
        if isinstance(exc, NoRedis):
            said = "no Redis is known for the run store (GENTRACE_REDIS_URL names one)"
        notices.say_once(
            "store", f"{said}; until then polls and API calls may be missing from traces"
        )
        return True

    def _say_full(self) -> None:
        notices.say_once(
            "store full",
            "Redis is more than 80 % full: the run store writes nothing until it has "
            "room again; runs in that time have no run span",
        )

    def too_full(self, client: Any) -> bool:
        """Redis has little room left: ARQ's own writes would fail next."""
        now = time.monotonic()
        if now >= self._memory_at:
            self._memory_at = now + _MEMORY_EVERY_S
            memory = self._memory(client)
            # Where Redis makes room by itself it takes what comes; what it does not take it says
            limit = int(memory.get("maxmemory") or 0)
            limit = limit if memory.get("maxmemory_policy", "noeviction") == "noeviction" else 0
            self.full = bool(limit) and int(memory["used_memory"]) > _MEMORY_LIMIT * limit
            if self.full:
                self._say_full()
        return self.full

    @staticmethod
    def _memory(client: Any) -> dict[str, Any]:
        """What Redis says of its memory; nothing where it may not be asked."""
        from redis import exceptions

        try:
            return client.info("memory")
        except exceptions.NoPermissionError:
            return {}

    def client(self) -> Any:
        """The connection, made when first needed; None while there is no Redis to ask."""
        where = self._where()
        if where is None or self.paused:
            return None
        if self._moved:
            self._moved = False
            self.close()
        if self._client is None:
            import redis
            from redis import exceptions
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            options: dict[str, Any] = {
                "decode_responses": True,
                "encoding_errors": "replace",
                # A connection that Redis closed meanwhile is made anew at once; redis-py 6 would
                # try for seconds, and we come again.
                "retry": Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
                "socket_timeout": _SOCKET_TIMEOUT_S,
                "socket_connect_timeout": _SOCKET_TIMEOUT_S,
            }
            try:
                self._client = _made(redis, where, options)
            except ValueError:
                raise ConnectionError("that is no address of a Redis") from None
        return self._client

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except Exception:
                return


def _made(redis: Any, where: Where, options: dict[str, Any]) -> Any:
    if isinstance(where, str):
        return redis.Redis.from_url(where, **options)
    given = dict(where)
    sentinels = given.pop("sentinels", None)
    if sentinels is None:
        return redis.Redis(**given, **options)
    from redis.sentinel import Sentinel

    timeouts = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout")}
    own = {**given.pop("sentinel_kwargs"), **timeouts}
    name = given.pop("service_name")
    return Sentinel(sentinels, sentinel_kwargs=own).master_for(name, **given, **options)  # pyright: ignore


def say_refused(refusal: Refused, prefix: str) -> None:
    """Say what Redis will not have: by rights that it gave us, or a key is somebody else's."""
    if refusal.kind == "NOPERM":
        notices.say_once(
            f"store denied {str(refusal)[:200]}",
            f"Redis denies the run store something ({refusal}); grant the user "
            f"~{prefix}* +@read +@write +@transaction +time +info, or name another "
            "Redis in GENTRACE_REDIS_URL",
        )
        return
    from redis import ResponseError

    notices.swallowed("run store", ResponseError(str(refusal)))
