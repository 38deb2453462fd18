"""pixsim7 as it runs in earnest: PostgreSQL, Redis, a provider stand-in, the API, workers."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from tests.support.programs import BIN, Program, clean_environment, stop_together
from tools import servers
from tools.real_host import environment
from tools.real_host.database import Database
from tools.real_host.request import Request

APP = "pixsim7.backend.main.main:app"
WORKER = "pixsim7.backend.main.workers.arq_worker.WorkerSettings"
ROUTE = "/api/v1/generations"
USER = {"email": "admin@host.test", "username": "admin", "password": "an-Admin-of-2026"}
ACCOUNTS = 3
FINAL = frozenset({"completed", "failed", "cancelled"})
SETTLED_S = 0.8  # the host's auto-retry turns `failed` back within a tenth of that


class RealHost:
    """The running host. What is started later gets the same environment.

    Attributes:
        folder: everything that it writes.
        spool: where gentrace writes.
        jobs: the stand-in's log of its jobs.
    """

    def __init__(
        self, checkout: Path, venv: Path, folder: Path, redis: servers.RedisServer, url: str
    ) -> None:
        self.checkout, self.folder, self.redis = checkout, folder, redis
        self.spool, self.jobs = folder / "spool", folder / "jobs.jsonl"
        self.requests = folder / "requests.jsonl"
        self.database = Database(url)
        self.request = Request.of(checkout)
        self._python = environment.python_of(venv)
        (api, standin) = servers.free_ports(2)
        self._ports = {"api": api, "standin": standin}
        self.url, self.standin_url = (f"http://{servers.HOST}:{p}" for p in (api, standin))
        self._work = environment.working_folder(checkout, folder)
        client = environment.client_for(checkout, folder, self.standin_url)
        self._paths = f"{client}:{checkout}"
        self._env = {
            **clean_environment(folder),
            "PYTHONPATH": self._paths,
            "PATH": f"{self._python.parent}:{BIN}:/usr/bin:/bin",
            "DATABASE_URL": url,
            "LOG_DATABASE_URL": url,
            "REDIS_URL": redis.url,
            "ARQ_REDIS_URL": redis.url,
            "SECRET_KEY": "a key that only this run has",
            "PIXSIM_HOME": str(folder / "home"),
            "STORAGE_BASE_PATH": str(folder / "storage"),
            "PIXSIM_MEDIA_STORAGE_PATH": str(folder / "media"),
            "GENERATION_ENQUEUE_LEASE_TTL_SECONDS": "30",
            "GENERATION_RETRY_DEFER_JITTER_SECONDS": "0",
            "AUTO_RETRY_ENABLED": "false",
            "RATE_LIMIT_MAX_REQUESTS": "100000",
        }
        self.traced = {
            "GENTRACE": "1",
            "GENTRACE_SPOOL": str(self.spool),
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        self.programs: list[Program] = []
        self._http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    # -- programs --------------------------------------------------------------------------
    def seed(self) -> str:
        """Makes tables, administrator and accounts; says what could not be made."""
        facts = self.folder / "facts.json"
        facts.write_text(json.dumps({"user": USER, "accounts": ACCOUNTS}), encoding="utf-8")
        script = Path(__file__).with_name("seed.py")
        done = subprocess.run(
            [str(self._python), str(script), str(facts)],
            env=self._env,
            cwd=self._work,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        (self.folder / "seed.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        if not done.stdout.rstrip().endswith("seeded"):
            raise RuntimeError(f"the host's tables were not made:\n{done.stderr[-3000:]}")
        self.database.watch()
        return "\n".join(line for line in done.stdout.splitlines() if line.startswith("not made"))

    def start(self, name: str, command: list[str], env: Mapping[str, str]) -> Program:
        """Starts a program; it is stopped with the host."""
        log = self.folder / f"{name}-{len(self.programs)}.log"
        program = Program(name, command, {**self._env, **env}, self._work, log)
        self.programs.append(program)
        return program

    def start_standin(self) -> None:
        """Starts the provider's stand-in, with the tree's own interpreter."""
        command = [str(BIN / "python"), "-m", "tools.real_host.standin"]
        env = {
            "PYTHONPATH": str(environment.TREE),
            "STANDIN_JOBS": str(self.jobs),
            "STANDIN_LOG": str(self.requests),
            "STANDIN_RENDER_S": "4",
            "STANDIN_SLOW_RENDER_S": "25",
            "STANDIN_SLOW_SUBMIT_S": "8",
        }
        program = self.start("standin", [*command, "--port", str(self._ports["standin"])], env)
        program.wait_until(lambda: _answers(self.standin_url), "answers")

    def start_api(self, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> None:
        """Starts the API and waits for it.

        Args:
            env: in place of what switches gentrace on.
            before: a script that starts the module after it, and the script's own arguments.
        """
        self._start_api(self._ports["api"], self.traced if env is None else env, before)

    def start_another_api(self) -> str:
        """Starts one more API process; its address."""
        return self._start_api(servers.free_ports(1)[0], self.traced)

    def _start_api(self, port: int, env: Mapping[str, str], before: Sequence[str] = ()) -> str:
        command = [str(self._python), *(before or ["-m"]), "uvicorn", APP, "--no-access-log"]
        address = ["--host", servers.HOST, "--port", str(port)]
        program = self.start("api", [*command, *address], env)
        url = f"http://{servers.HOST}:{port}"
        program.wait_until(lambda: _answers(url + "/health"), "answers", 180)
        return url

    def start_workers(
        self, count: int = 1, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> list[Program]:
        """Starts workers and waits for them; the arguments are those of :meth:`start_api`."""
        command = [str(self._python), *(before or ["-m"]), "arq", WORKER]
        given = self.traced if env is None else env
        started = [self.start("worker", command, given) for _ in range(count)]
        for program in started:
            program.wait_for("Starting worker for", 120)
        return started

    @property
    def workers(self) -> list[Program]:
        """The workers that run."""
        return [each for each in self.programs if each.name == "worker" and each.alive]

    def importing_from(self, folder: Path) -> dict[str, str]:
        """What lets a program find the host below that folder first, with gentrace on."""
        return {
            **self.traced,
            "PYTHONPATH": f"{folder}:{self._paths}",
            "PYTHONSAFEPATH": "1",  # the folder that it works in would come before
        }

    def stop_apis(self) -> None:
        """Stops every API process and waits for its end."""
        stop_together([p for p in self.programs if p.name == "api" and p.alive], timeout=60)

    def stop_workers(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stops every worker and waits for its end."""
        stop_together(self.workers, how, 60)

    def stop(self) -> None:
        """Stops whatever still runs: what makes spans first."""
        self._http.close()
        alive = [program for program in self.programs if program.alive]
        try:
            stop_together([p for p in alive if p.name != "standin"], timeout=60)
        finally:
            stop_together([p for p in alive if p.name == "standin"])

    # -- the API ---------------------------------------------------------------------------
    def log_in(self) -> None:
        """Logs in as the administrator."""
        named = {key: USER[key] for key in ("email", "password")}
        token = self.ask("POST", "/api/v1/auth/login", named)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Any request to the API that has to succeed; its answer."""
        answer = self._http.request(method, path, json=body)
        if not answer.is_success:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:800]}")
        return answer.json()

    def submit(self, prompt: str) -> str:
        """Asks for a generation; its id. The host's limit on requests is lifted before."""
        self.lift_limits()
        config = self.request.config(prompt)
        body = {"provider_id": "pixverse", "config": config, "force_new": True}
        return str(self.ask("POST", ROUTE, body)["id"])

    def lift_limits(self) -> None:
        """Lets the user ask for more at once than the host allows."""
        with Redis.from_url(self.redis.url) as client:  # pyright: ignore[reportUnknownMemberType]
            for key in client.scan_iter("ratelimit:*"):
                client.delete(key)

    @property
    def authorization(self) -> str:
        """What the administrator's requests carry."""
        return self._http.headers["Authorization"]

    def act(self, generation_id: str, action: str) -> Any:
        """What its user may do to it: cancel, pause, resume, retry."""
        return self.ask("POST", f"{ROUTE}/{generation_id}/{action}")

    def wait_status(self, generation_id: str, status: str, timeout: float = 60) -> None:
        """Waits until the database has that status."""
        wait_until(
            lambda: self.database.status(generation_id) == status,
            f"generation {generation_id} is {status}",
            timeout,
        )

    def wait_final(self, generation_ids: Iterable[str], timeout: float = 90) -> None:
        """Waits until all have ended; a failure counts when it has stayed one for a while."""
        for generation_id in generation_ids:
            end = time.monotonic() + timeout
            since: float | None = None
            while since is None or time.monotonic() - since < SETTLED_S:
                status = self.database.status(generation_id)
                since = (since or time.monotonic()) if status in FINAL else None
                if time.monotonic() > end:
                    raise TimeoutError(f"generation {generation_id} is {status}")
                time.sleep(0.1)


def wait_until(holds: Callable[[], bool], what: str, timeout: float) -> None:
    """Polls until that holds.

    Raises:
        TimeoutError: it does not in time.
    """
    end = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout:.0f} s: {what}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False


@contextmanager
def real_host(checkout: Path, venv: Path, folder: Path, workers: int) -> Generator[RealHost]:
    """Starts everything; yields the host when it is ready, and stops it at the end."""
    with ExitStack() as stack:
        redis = stack.enter_context(servers.redis())
        postgres = stack.enter_context(servers.postgres())
        host = RealHost(checkout, venv, folder, redis, postgres.new_database())
        stack.callback(host.stop)
        host.seed()
        host.start_standin()
        host.start_api()
        host.log_in()
        host.start_workers(workers)
        yield host
