"""A ``.env`` that asks for gentrace and is read too late: one line in the host, none elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest

from tests.support.programs import BIN, run
from tests.support.small_host import ARQ, FOLDER, UVICORN, SmallHost, small_host

PYTHON = sys.executable
MAIN = "pixsim7.backend.main"
LOADED = "load_dotenv()\n"


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis alone: each test starts API and worker its own way."""
    with small_host(api=False, workers=0, failed=anything_failed) as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The host's code, with a .env that asks for gentrace where python-dotenv finds it."""
    folder = tmp_path / "checkout"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".env").write_text("GENTRACE=1\n")
    return folder


def test_api_and_worker_say_one_line_and_run_untraced(host: SmallHost, checkout: Path) -> None:
    reloading = [*UVICORN, "--reload", "--reload-dir", str(checkout)]
    spool = checkout.parent / "spool"
    env = {"PYTHONPATH": str(checkout), "GENTRACE_SPOOL": str(spool)}
    with host.running(env, api=reloading) as programs:
        host.run()
        for program in programs:
            (line,) = program.said()
            assert line.startswith(f"gentrace: {checkout / '.env'} asks for tracing")
            assert "`gentrace exec -- CMD`" in line
    assert not spool.exists()


@pytest.mark.parametrize(
    "api", [UVICORN, (*UVICORN, "--env-file", ".env")], ids=["load_dotenv", "--env-file"]
)
def test_an_import_after_load_dotenv_needs_no_word(
    host: SmallHost, checkout: Path, api: Sequence[str]
) -> None:
    api = [str(checkout / part) if part == ".env" else part for part in api]
    for module in ("main.py", "workers/arq_worker.py"):
        path = checkout / MAIN.replace(".", "/") / module
        path.write_text(path.read_text().replace(LOADED, f"{LOADED}import gentrace  # noqa\n"))
    with host.running({"PYTHONPATH": str(checkout)}, api=api) as programs:
        host.run()
        for program in programs:
            (line,) = program.said()
            assert "tracing as pixsim7-" in line


def test_exec_reads_it(host: SmallHost, checkout: Path) -> None:
    command = [str(BIN / "gentrace"), "exec", *ARQ]
    with host.running({"PYTHONPATH": str(checkout)}, api=None, worker=command) as (program,):
        (line,) = program.said()
        assert "tracing as pixsim7-worker" in line


@pytest.mark.parametrize(
    "command",
    [
        [PYTHON, "-c", "print(1)"],
        [PYTHON, "-c", f"import {MAIN}.domain, {MAIN}.services.generation.creation"],
        [PYTHON, "-m", "pytest", "--version"],
        [PYTHON, "-c", f"import uvicorn, pytest, {MAIN}.services.generation.creation"],
    ],
    ids=["no host", "a script of the host", "pytest", "a test of the host"],
)
def test_nothing_is_said_elsewhere(checkout: Path, command: Sequence[str]) -> None:
    done = run(
        command, checkout, {"PYTHONPATH": str(checkout), "DATABASE_URL": "sqlite+aiosqlite://"}
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("value", ["0", "", "1"])
def test_the_environment_has_the_last_word(checkout: Path, value: str) -> None:
    code = f"import uvicorn, {MAIN}.services.generation.creation"
    env = {"PYTHONPATH": str(checkout), "GENTRACE": value, "GENTRACE_SPOOL": str(checkout / "s")}
    assert "asks for tracing" not in run([PYTHON, "-c", code], checkout, env).stderr


@pytest.mark.parametrize("text", ["GENTRACE=1", "GENTRACE=0", "OTHER=1"])
def test_the_start_leaves_no_module_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(text)
    done = run([PYTHON, "-c", "import sys; print(*sys.modules)"], tmp_path)
    assert done.stderr == ""
    assert [name for name in done.stdout.split() if name.startswith("gentrace")] == []


def test_odd_files_do_not_disturb_a_start(tmp_path: Path) -> None:
    for make in (
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b"GENTRACE\xff\xfe=\x00"),
        lambda path: path.symlink_to("nowhere"),
    ):
        path = tmp_path / ".env"
        make(path)
        done = run([PYTHON, "-X", "dev", "-c", "print(1)"], tmp_path)
        assert (done.stdout, done.stderr) == ("1\n", "")
        path.rmdir() if path.is_dir() else path.unlink()


SHOP = ("__init__", "settings", "orders", "tables", "app")


@pytest.fixture(params=["packages", "on lines of their own", "extended"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A small host of another name, with a profile of its own that its .env names."""
    packages = 'packages = ["corner_shop"]'
    if request.param == "on lines of their own":
        packages = 'packages = [\n    "corner_shop",\n]'
    base = f'name = "shop"\n{packages}\ntargets = []\n'
    if request.param == "extended":
        (tmp_path / "base.toml").write_text(base)
        base = 'extends = "base.toml"\nname = "mine"\n'
    (tmp_path / "mine.toml").write_text(base)
    (tmp_path / ".env").write_text("GENTRACE=1\nGENTRACE_PROFILE=mine.toml\n")
    package = tmp_path / "corner_shop"
    package.mkdir()
    for name, below in zip(SHOP, (*SHOP[1:], None), strict=True):
        imports = f"import corner_shop.{below}" if below and name != "__init__" else ""
        (package / f"{name}.py").write_text(f"{imports}\n")
    return tmp_path


@pytest.mark.parametrize("reads", ["", "import os; os.environ['GENTRACE'] = '1'"])
def test_a_small_host_of_any_profile_is_told_too(shop: Path, reads: str) -> None:
    (shop / "corner_shop" / "settings.py").write_text(f"{reads}\nimport corner_shop.orders\n")
    served = [PYTHON, "-c", "import uvicorn, corner_shop.settings"]
    (line,) = run(served, shop).stderr.splitlines()
    assert line.startswith(f"gentrace: {shop / '.env'} asks for tracing")
    assert run([PYTHON, "-c", "import corner_shop.settings"], shop).stderr == ""
