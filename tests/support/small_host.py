"""The small host as it runs in earnest: provider stand-in, API, ARQ workers, a Redis of its own.

`small_host()` starts it and stops it again; a test may start and stop single programs in between.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from tests.support.programs import BIN, ROOT, Program, clean_environment, stop_together
from tests.support.waiting import PATIENCE_S
from tools import servers

FOLDER = ROOT / "examples" / "small_host"
APP = "pixsim7.backend.main.main:app"
WORKER = "pixsim7.backend.main.workers.arq_worker.WorkerSettings"
ROUTE = "/api/v1/generations"
UVICORN = (str(BIN / "uvicorn"), APP)
ARQ = (str(BIN / "arq"), WORKER)
FINAL = frozenset({"completed", "failed", "cancelled"})
SETTLED_S = 1.6  # the host's auto-retry turns `failed` back within a tenth of that

Env = Mapping[str, str]
Generation = dict[str, Any]

DEFAULTS = {
    "POLL_INTERVAL_S": "1",
    "STANDIN_RENDER_S": "0.2",
    "ACCOUNT_SLOTS": "20",
    "ACCOUNT_COOLDOWN_S": "1",
    "ACCOUNT_WAIT_S": "1",
    "DISPATCH_STAGGER_MAX_SECONDS": "0",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
}
"""A quick host; the environment that a test gives wins over these."""


class SmallHost:
    """The running host. Programs that are started later get the same environment.

    Attributes:
        folder: everything that it writes; gone when it stops, but for logs after a failure.
        spool: where gentrace writes when no endpoint is given.
    """

    def __init__(self, folder: Path, env: Env, redis: servers.RedisServer) -> None:
        self.folder, self.redis = folder, redis
        self.spool = folder / "spool"
        self.standin_log = folder / "standin.jsonl"
        (self._api_port, self._standin_port) = servers.free_ports(2)
        self.url = f"http://{servers.HOST}:{self._api_port}"
        self.standin_url = f"http://{servers.HOST}:{self._standin_port}"
        self._env = clean_environment(
            folder,
            {
                **DEFAULTS,
                "PYTHONPATH": str(FOLDER),
                "REDIS_URL": redis.url,
                "DATABASE_URL": f"sqlite+aiosqlite:///{self.database}",
                "MEDIA_DIR": str(folder / "media"),
                "PROVIDER_BASE_URL": self.standin_url,
                "STANDIN_LOG": str(self.standin_log),
                "GENTRACE_SPOOL": str(self.spool),
                **env,
            },
        )
        self.programs: list[Program] = []
        self._http = httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False)

    @property
    def database(self) -> Path:
        """The host's SQLite file, where it has one."""
        return self.folder / "host.db"

    def _last(self, name: str) -> list[Program]:
        return [program for program in self.programs if program.name == name and program.alive]

    @property
    def api(self) -> Program:
        """The API that runs."""
        return self._last("api")[-1]

    @property
    def workers(self) -> list[Program]:
        """The workers that run."""
        return self._last("worker")

    # -- programs --------------------------------------------------------------------------
    def start(self, name: str, command: Sequence[str], env: Env | None = None) -> Program:
        """Start a program in the host's environment; it is stopped with the host."""
        log = self.folder / f"{name}-{len(self.programs)}.log"
        program = Program(name, command, {**self._env, **(env or {})}, self.folder, log)
        self.programs.append(program)
        return program

    def start_standin(self) -> Program:
        """Start the provider's stand-in."""
        script = str(FOLDER / "provider_standin.py")
        port = ["--port", str(self._standin_port)]
        return self.start("standin", [sys.executable, script, *port])

    def start_api(self, env: Env | None = None, command: Sequence[str] = UVICORN) -> Program:
        """Start the API: uvicorn, or another command, to which the address is added."""
        address = ["--host", servers.HOST, "--port", str(self._api_port)]
        return self.start("api", [*command, *address], env)

    def start_worker(self, env: Env | None = None, command: Sequence[str] = ARQ) -> Program:
        """Start one more ARQ worker."""
        return self.start("worker", command, env)

    def wait_ready(self) -> None:
        """Wait until every program that runs is ready to work."""
        for program in self.programs:
            if program.name == "worker" and program.alive:
                program.wait_for('"worker_started"')
            elif program.name in ("api", "standin") and program.alive:
                url = self.url + "/health" if program.name == "api" else self.standin_url
                program.wait_until(lambda url=url: _answers(url), "answers")

    @contextmanager
    def running(
        self,
        env: Env | None = None,
        *,
        api: Sequence[str] | None = UVICORN,
        worker: Sequence[str] | None = ARQ,
    ) -> Generator[list[Program]]:
        """An API and a worker (or one of them) for the length of the block, then stopped."""
        started: list[Program] = []
        try:
            if api is not None:
                started.append(self.start_api(env, api))
            if worker is not None:
                started.append(self.start_worker(env, worker))
            self.wait_ready()
            yield started
        finally:
            stop_together(started)

    def stop(self) -> None:
        """Stop whatever still runs: what makes spans first."""
        self._http.close()
        try:
            stop_together([*self._last("api"), *self.workers])
        finally:
            stop_together([program for program in self.programs if program.alive])

    # -- generations -----------------------------------------------------------------------
    def submit(
        self,
        prompt: str = "a lighthouse in the rain",
        operation: str = "text_to_video",
        provider: str = "pixverse",
        headers: Mapping[str, str] | None = None,
        request: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> str:
        """Ask for a generation and return its id; the prompt's words steer the stand-in.

        Args:
            request: more of the body than its config.
        """
        style = {"pixverse": {"model": "v5"}}
        asked = {"generationType": operation, "prompt": prompt, "style": style, **config}
        body = {"provider_id": provider, "config": asked, "force_new": True, **(request or {})}
        answer = self._http.post(ROUTE, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def submit_all(self, wanted: Iterable[Mapping[str, Any]], at_once: int = 10) -> list[str]:
        """Submit many, so many at a time; ids in the order of what was wanted."""
        with ThreadPoolExecutor(at_once) as threads:
            return list(threads.map(lambda one: self.submit(**one), wanted))

    def cancel(self, generation_id: str) -> None:
        """Cancel it, as its user would."""
        self.act(generation_id, "cancel")

    def act(self, generation_id: str, action: str) -> None:
        """Do to it what its user may: cancel, pause, resume, retry."""
        self.post(f"{ROUTE}/{generation_id}/{action}")

    def post(self, path: str, body: Any = None) -> Any:
        """Ask the API for anything; its answer."""
        answer = self._http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def control(self, **knobs: Any) -> None:
        """Change how the stand-in behaves from now on."""
        httpx.post(f"{self.standin_url}/control", json=knobs, trust_env=False).raise_for_status()

    def generation(self, generation_id: str) -> Generation:
        """The generation as the API shows it."""
        answer = self._http.get(f"{ROUTE}/{generation_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_status(
        self, generation_id: str, status: str, timeout: float = PATIENCE_S, key: str = "status"
    ) -> None:
        """Poll the API until the generation has that status (or that value of another key)."""
        end = time.monotonic() + timeout
        while self.generation(generation_id)[key] != status:
            assert time.monotonic() < end, self.generation(generation_id)
            time.sleep(0.02)

    def wait_final(
        self, generation_ids: Iterable[str], timeout: float = PATIENCE_S
    ) -> list[Generation]:
        """Poll the API until all have ended, a failure only when it has stayed one for a while."""
        waiting, over = list(generation_ids), dict[str, Generation]()
        order, failed_at = list(waiting), dict[str, float]()
        end = time.monotonic() + timeout
        while waiting:
            for generation_id in list(waiting):
                seen = self.generation(generation_id)
                if seen["status"] not in FINAL:
                    failed_at.pop(generation_id, None)
                    continue
                since = failed_at.setdefault(generation_id, time.monotonic())
                if seen["status"] != "failed" or time.monotonic() - since > SETTLED_S:
                    over[generation_id] = seen
                    waiting.remove(generation_id)
            if waiting:
                states = [(i, self.generation(i)["status"]) for i in waiting[:5]]
                assert time.monotonic() < end, f"{len(waiting)} not over, such as {states}"
                time.sleep(0.1)
        return [over[generation_id] for generation_id in order]

    def run(self, timeout: float = PATIENCE_S, **wanted: Any) -> Generation:
        """One generation from its request to its end."""
        return self.wait_final([self.submit(**wanted)], timeout)[0]

    def forget_jobs(self) -> None:
        """Empty Redis and end what goes on, so that no later worker finds a thing to do.

        A generation that is pending without a job is enqueued again by the host's cron.
        """
        with Redis.from_url(self.redis.url) as client:  # pyright: ignore[reportUnknownMemberType]
            client.flushall()
        if not self.database.exists():
            return
        with closing(sqlite3.connect(self.database, timeout=10)) as db:
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'generations'").fetchone():
                db.execute(
                    "UPDATE generations SET status = 'cancelled'"
                    " WHERE status IN ('pending', 'processing')"
                )
                db.commit()

    def standin_requests(self) -> list[dict[str, Any]]:
        """What the stand-in received: method, path and headers of each request."""
        lines = self.standin_log.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]


@contextmanager
def small_host(
    env: Env | None = None,
    *,
    api_env: Env | None = None,
    worker_env: Env | None = None,
    api: bool = True,
    workers: int = 1,
    failed: servers.Failed | None = None,
) -> Generator[SmallHost]:
    """Start the host and wait until it is ready.

    Args:
        env: for every program; DATABASE_URL here puts it on another database than SQLite.
        api: whether to start the API.
        workers: how many worker processes.
        failed: asked at the end whether the logs should stay.
    """
    with ExitStack() as stack:
        redis = stack.enter_context(servers.redis(failed))
        folder = stack.enter_context(servers._folder("small-host", failed))
        host = SmallHost(folder, env or {}, redis)
        stack.callback(host.stop)
        host.start_standin()
        if api:
            host.start_api(api_env)
        for _ in range(workers):
            host.start_worker(worker_env)
        host.wait_ready()
        yield host


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2, trust_env=False).status_code < 500
    return False
