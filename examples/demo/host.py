"""The small host and what it needs, on free loopback ports, under GENTRACE=1."""

import asyncio
import os
import socket
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from redis import Redis, RedisError
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import create_async_engine

from examples.demo.children import Children, DemoFailed, on_a_free_port
from tools import servers

SMALL_HOST = Path(__file__).resolve().parents[1] / "small_host"
HOST = servers.HOST
PACE = {
    "POLL_INTERVAL_S": "1",
    "ACCOUNT_COUNT": "3",
    "ACCOUNT_SLOTS": "4",
    "ACCOUNT_COOLDOWN_S": "2",
    "AUTO_RETRY_MAX_ATTEMPTS": "1",
    "STANDIN_RENDER_S": "1.5",
    "STANDIN_SLOW_RENDER_S": "9",
    "STANDIN_SLOW_SUBMIT_S": "4",
}
NEEDED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Host:
    """The running host."""

    api: str
    provider: str
    redis: str
    database: str


def start(
    children: Children, folder: Path, redis: str, database: str, tracing: Mapping[str, str]
) -> Host:
    """Starts it, with a Redis of its own unless one is given; returns when all of it is ready."""
    env = {name: os.environ[name] for name in NEEDED if name in os.environ}
    redis = redis or _redis(children, folder, env)
    database = database or f"sqlite+aiosqlite:///{folder / 'host.db'}"
    env |= PACE | {
        "PYTHONPATH": str(SMALL_HOST),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": HOST,
        "REDIS_URL": redis,
        "DATABASE_URL": database,
        "MEDIA_DIR": str(folder / "media"),
    }

    def provider(port: int) -> None:
        command = [sys.executable, SMALL_HOST / "provider_standin.py", "--port", str(port)]
        children.start("provider", command, env, lambda: _listens(port))

    port = on_a_free_port(provider, _free_port)
    env["PROVIDER_BASE_URL"] = provider_url = f"http://{HOST}:{port}"

    def api(port: int) -> None:
        application = "pixsim7.backend.main.main:app"
        command = [sys.executable, "-m", "uvicorn", application, "--host", HOST, "--port"]
        health = f"http://{HOST}:{port}/health"
        children.start("api", [*command, str(port)], env | tracing, lambda: _answers(health))

    port = on_a_free_port(api, _free_port)
    settings = "pixsim7.backend.main.workers.arq_worker.WorkerSettings"
    children.start(
        "worker",
        [sys.executable, "-m", "arq", settings],
        env | tracing,
        lambda: b"Starting worker for" in children.log("worker").read_bytes(),
    )
    return Host(f"http://{HOST}:{port}", provider_url, redis, database)


def _redis(children: Children, folder: Path, env: Mapping[str, str]) -> str:
    try:
        program = servers.find("redis")
    except servers.ServiceMissing:
        raise DemoFailed(
            "there is no Redis here. Put redis-server or valkey-server on the PATH (apt-get "
            "install redis-server, brew install redis), or give an empty database of one that "
            "runs: make demo ARGS='--redis redis://127.0.0.1:6379/9'"
        ) from None

    def redis(port: int) -> None:
        command = [program, "--bind", HOST, "--port", str(port), "--dir", folder]
        nothing_kept = ["--save", "", "--appendonly", "no"]
        children.start("redis", [*command, *nothing_kept], env, lambda: _listens(port))

    return f"redis://{HOST}:{on_a_free_port(redis, _free_port)}/0"


def check_given(redis: str, database: str) -> None:
    """Refuses what is not empty: it may be that of a real host, whose jobs would be taken."""
    if redis and (keys := _ask(redis, "dbsize")):
        raise DemoFailed(
            f"--redis: that database holds {keys} keys already; the demo would take its jobs and "
            "empty it at the end. Give an empty one, for example the same URL with /9"
        )
    if database and "generations" in _tables(database):
        raise DemoFailed(
            "--database: there are generations in it already; the demo would write between them. "
            "Give an empty database"
        )


def empty(redis: str) -> None:
    """Empties a Redis database that was given, and was empty."""
    _ask(redis, "flushdb")


def _ask(url: str, command: str) -> int:
    try:
        with Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            return int(getattr(client, command)())
    except (RedisError, ValueError) as error:
        raise DemoFailed(f"--redis: {url} cannot be used: {error}") from None


def _tables(url: str) -> list[str]:
    async def tables() -> list[str]:
        engine = create_async_engine(url)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(lambda c: inspect(c).get_table_names())
        finally:
            await engine.dispose()

    try:
        return asyncio.run(tables())
    except Exception as error:
        raise DemoFailed(f"--database: {url} cannot be used: {error}") from None


def _free_port() -> int:
    return servers.free_ports(1)[0]


def _listens(port: int) -> bool:
    with socket.create_connection((HOST, port), timeout=1):
        return True


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as response:
        return response.status == 200
