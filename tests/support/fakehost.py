"""A host whose functions do what a test says, at the profile's places with the small host's shapes.

Each function that the profile's targets hook is copied from the small host: its name, arguments,
kind and decorators, not its body, which asks :data:`script` what to do. It is hooked with the
profile's own targets, under a package name of its own.
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gentrace.core import profile, settings, targets
from gentrace.core.profile import Profile, Target
from gentrace.core.targets import Resolved
from gentrace.runtime.session import HOOKS, Session
from tests.support.host import FOLDER, MemoryExporter

PACKAGE = "gentrace_fake_host"
ARQ = ".arq_connections:ArqRedis.enqueue_job"
ID = 7
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Script:
    """What the host's functions do next: return `outcome`, or raise it; `stay` before that.

    `work` is called in between, in the function's own context.
    """

    def __init__(self) -> None:
        self.outcome: Any = None
        self.started = 0
        self.stay = False
        self.work: Callable[[], object] | None = None

    def now(self) -> Any:
        """A synchronous function was called."""
        self.started += 1
        if self.work is not None:
            self.work()
        return self.outcome

    async def soon(self) -> Any:
        """An asynchronous function runs: it suspends once."""
        self.started += 1
        await asyncio.sleep(60 if self.stay else 0)
        if self.work is not None:
            self.work()
        return self.outcome


script = Script()


@dataclass(frozen=True, eq=False)
class Case:
    """One hooked function of one target."""

    target: Target
    module: str
    owner: str
    name: str
    source: str

    def __str__(self) -> str:
        return f"{self.target.name}-{self.name}" if self.target.methods else self.target.name

    @property
    def place(self) -> Any:
        """The class or module that holds the function."""
        module = importlib.import_module(self.module)
        return getattr(module, self.owner) if self.owner else module

    @property
    def hooked(self) -> Any:
        """The function as callers find it, bound where it is a method."""
        return getattr(self.place() if self.owner else self.place, self.name)

    @property
    def is_async(self) -> bool:
        return "async def" in self.source

    def call(self) -> Any:
        """Calls it as the host would."""
        return self.hooked(**arguments(self.hooked))


def arguments(function: Any) -> dict[str, Any]:
    """A value for each argument that the function asks for, with ids where hooks read them."""
    import inspect

    generation = SimpleNamespace(
        id=ID, operation_type="text_to_video", provider_id="pixverse", canonical_params={}
    )
    known: dict[str, Any] = {
        "generation_id": ID,
        "generation": generation,
        "submission": SimpleNamespace(generation_id=ID, provider_job_id="j1"),
        "account": SimpleNamespace(id=3, provider_id="pixverse"),
        "account_id": 3,
        "function": "process_generation",
        "status": "completed",
        "params": {"model": "v5"},
        "ctx": {},
    }
    parameters = inspect.signature(function).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    given = {
        p.name: known.get(p.name)
        for p in parameters
        if p.kind in plain and (p.default is p.empty or p.name in known)
    }
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        given["generation_id"] = ID
    return given


def answer() -> Any:
    """What a function returns where nothing else is said; every role reads something of it."""
    return SimpleNamespace(
        id=ID,
        status="completed",
        outcome="completed",
        enqueued=True,
        provider_job_id="j1",
        job_id="arq1",
        progress=0.5,
        retry_attempt=0,
    )


def _resolved() -> list[Resolved]:
    loaded, _ = profile.load()
    return [found for found in targets.resolve(loaded, FOLDER) if found.target.role in HOOKS]


def _cases() -> dict[Case, set[str]]:
    """Every function once, with the names of all targets that reach it.

    A method of a mixin is the mixin's target's, whose module is imported first.
    """
    found = [case for resolved in _resolved() for case in _functions(resolved)]
    places = {(case.module, case.owner, case.name): case for case in found}
    own = {(c.module, c.owner, c.name): c for c in found if any(c.owner in a for a in c.target.at)}
    return {
        case: {c.target.name for c in found if (c.module, c.owner, c.name) == place}
        for place, case in {**places, **own}.items()
    }


def _functions(found: Resolved) -> Generator[Case]:
    assert found.file is not None, f"the small host has no {found.target.name}"
    if found.target.methods:
        for method in found.methods:
            source = _copied(method.file, method.name, method.line)
            yield Case(found.target, _module(method.file), method.owner, method.name, source)
        return
    owner, _, name = found.spelling.partition(":")[2].rpartition(".")
    module = _module(found.file) if FOLDER in found.file.parents else PACKAGE + ARQ.split(":")[0]
    yield Case(found.target, module, owner, name, _copied(found.file, name, found.line))


def _module(file: Path) -> str:
    path = file.relative_to(FOLDER / "pixsim7" / "backend" / "main").with_suffix("")
    return ".".join((PACKAGE, *path.parts))


def _copied(file: Path, name: str, line: int) -> str:
    """The function's source with another body, no annotations and plain defaults."""
    node = next(
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, Function) and node.name == name and abs(node.lineno - line) < 3
    )
    given = node.args
    for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
        if argument is not None:
            argument.annotation = None
    given.defaults = [_plain(default) for default in given.defaults]
    given.kw_defaults = [d and _plain(d) for d in given.kw_defaults]
    asked = "await script.soon()" if isinstance(node, ast.AsyncFunctionDef) else "script.now()"
    node.returns = None
    node.body = ast.parse(
        f'"""Stands for {name}."""\n'
        f"outcome = {asked}\n"
        "if isinstance(outcome, BaseException):\n"
        "    try:\n        raise outcome\n"
        "    finally:\n        del outcome\n"  # else its traceback would hold it alive
        "return outcome\n"
    ).body
    return ast.unparse(ast.fix_missing_locations(node))


def _plain(default: ast.expr) -> ast.expr:
    return default if isinstance(default, ast.Constant) else ast.Constant(None)


REACHED_BY = _cases()
CASES = list(REACHED_BY)


def _write(folder: Path) -> list[str]:
    """Makes the package; returns its modules. A provider's class inherits from its mixins."""
    classes: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    bases: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for case in CASES:
        classes[case.module][case.owner][case.name] = case.source
    for found in _resolved():
        for method in found.methods:
            module, _, owner = found.spelling.partition(":")
            here = (f"{PACKAGE}.{module.partition('.main.')[2]}", owner)
            if method.owner != owner:
                bases[here].add((_module(method.file), method.owner))
                classes[here[0]][here[1]].update()
    for module, owners in classes.items():
        lines = ["from tests.support.fakehost import script"]
        for owner, functions in owners.items():
            above = sorted(bases[module, owner])
            lines += [f"from {base} import {name}" for base, name in above]
            head = f"class {owner}({', '.join(name for _, name in above)}):" if owner else ""
            body = "\n".join(functions.values()) or "pass"
            indented = body.replace("\n", "\n    ")
            lines.append(f"{head}\n    {indented}" if owner else body)
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return sorted(classes)


def fake_profile() -> Profile:
    """The shipped profile, of which only what is hooked is left, at the fake host's places."""
    loaded, _ = profile.load()
    hooked = [target for target in loaded.targets if target.role in HOOKS]
    moved = [dataclasses.replace(t, at=(ARQ,)) if t.role == "arq_enqueue" else t for t in hooked]
    return dataclasses.replace(
        loaded, packages=(PACKAGE,), targets=tuple(moved), redis_url_env=(), lookup_store=""
    )


@contextmanager
def fake_host(folder: Path) -> Generator[tuple[Session, MemoryExporter]]:
    """The package, written, hooked and imported; without Redis, and out again at the end."""
    modules = _write(folder)
    given = settings.read({"GENTRACE_SPOOL": str(folder / "spool"), "OTEL_BSP_SCHEDULE_DELAY": "5"})
    session = Session(fake_profile(), given)
    session.pipeline.exporter = exporter = MemoryExporter()
    session.engine.store.stop(0)  # without a Redis it would say so, in whatever test runs then
    sys.path.insert(0, str(folder))
    try:
        session.patcher.install()
        for module in modules:
            importlib.import_module(module)
        session.process.role = "worker"
        yield session, exporter
    finally:
        session.uninstall()
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
