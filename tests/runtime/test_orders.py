"""Importing, instrumenting and uninstrumenting in every order, each in a fresh interpreter.

After every step all that is hooked is hooked once, or nothing is left of us. So each order stands
for its beginnings, too, and the longest orders are enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.support.fresh import run

ORDERS = sorted(set(itertools.permutations(("import", "patch", "patch", "unpatch", "unpatch"))))
MIDDLES = ("domain.generation.models", "infrastructure.queue.generation_jobs", "workers.lifecycle")
IN_THE_MIDDLE = [
    *({"patch": module} for module in MIDDLES),
    *({"patch": one, "unpatch": other} for one, other in itertools.permutations(MIDDLES, 2)),
]
"""Where in the host's import which step is taken."""

PROGRAM = """
    import atexit, gc, os, sys, threading, time, warnings

    handlers, at_exit, at_fork = (atexit.register, atexit.unregister), [], []

    def register(function, *given, **named):
        if str(function.__module__).startswith("gentrace"):
            at_exit.append(function)
        return handlers[0](function, *given, **named)

    def unregister(function):
        at_exit[:] = [one for one in at_exit if one != function]
        return handlers[1](function)

    def register_at_fork(**given):
        at_fork.extend(f for f in given.values() if "gentrace" in str(f.__module__))

    atexit.register, atexit.unregister = register, unregister
    os.register_at_fork = register_at_fork

    import gentrace
    from gentrace.runtime import notices
    swallowed = []
    notices.on_swallowed.append(lambda where, exc: swallowed.append((where, exc)))
    warnings.simplefilter("error")

    def surroundings():
        "What a library can leave behind in a process, but for the modules that it imported."
        return {
            "finders": [f for f in sys.meta_path if f is not STEPS and "wrapt" not in repr(f)],
            "threads": [thread.name for thread in threading.enumerate()],
            "files": sorted(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0,
            "environment": dict(os.environ),
            "warnings": [w for w in warnings.filters if w[2].__module__ == "builtins"],
            "atexit": list(at_exit),
            "unraisable": sys.excepthook, "threading": threading.excepthook,
            "context": dict(__import__("contextvars").copy_context()),
        }

    def held_names():
        "Every name of the host's modules that holds a wrapper."
        return [
            (name, key)
            for name, module in list(sys.modules.items()) if name.startswith("pixsim7.")
            for key, value in vars(module).items() if is_hooked(value)
        ]

    class Steps:
        "Takes the steps, and a look after each."
        def __init__(self):
            self.hooked = self.whole = False
            self.raw, self.middle = None, {}

        def find_spec(self, name, path=None, target=None):
            step = self.middle.pop(name, None)
            if step:
                getattr(self, "do_" + step)()

        def take(self, step):
            getattr(self, "do_" + step)()
            self.look()

        def do_import(self):
            imported()
            self.whole = True
            if not self.hooked:
                self.raw = objects()

        def do_patch(self):
            assert gentrace.instrument()
            self.hooked = True

        def do_unpatch(self):
            self.left += gentrace.uninstrument()  # these keep what they need of us
            self.hooked = False

        def look(self):
            assert swallowed == [], swallowed
            assert len(at_fork) <= 1
            if self.hooked:
                return self.look_at_hooked() if self.whole else None
            end = time.monotonic() + 60  # our threads go within their time, or a little later
            while (now := surroundings()) != START and time.monotonic() < end:
                time.sleep(0.01)
            assert now == START, [(k, START[k], now[k]) for k in now if now[k] != START[k]]
            assert held_names() == []
            self.look_at_libraries()
            if self.whole:
                places = objects()
                assert [k for k, v in places.items() if is_hooked(v)] == []
                if self.raw:
                    assert changed(self.raw, places) == [], changed(self.raw, places)
                self.raw = places

        def look_at_hooked(self):
            from gentrace.runtime import startup
            rows = startup.session().patcher.report()
            states = {row["name"]: row["state"] for row in rows}
            assert "missing" not in states.values(), states
            assert len({"patched", "late"} & set(states.values())) and len(states) > 30, states
            held = {who for row in rows for who in row.get("copies", ())}
            # arq's worker runs its copies under our eyes; what we noted ourselves is none
            unseen = [w for w in held if "WorkerSettings" not in w and "Steps" not in w]
            assert set(unseen) <= {"arq.cron.CronJob"}, unseen
            places = objects()
            hooked = {k for k, v in places.items() if is_hooked(v)}
            assert len(hooked) > 60, len(hooked)
            twice = [k for k in hooked if is_hooked(under(places[k]))]
            assert twice == [], twice
            originals = {id(under(places[k])) for k in hooked}
            unhooked = [
                (name, key)
                for name, module in list(sys.modules.items()) if name.startswith("pixsim7.")
                for key, value in vars(module).items() if id(value) in originals
            ]
            assert unhooked == [], unhooked
            from sqlalchemy import Engine
            heard = Engine.dispatch.after_cursor_execute._clslevel[Engine]
            assert len(heard) == 1, heard

        def look_at_libraries(self):
            gc.collect()
            if "gentrace.runtime.session" in sys.modules and not self.left:
                from gentrace.runtime.session import Session
                assert [o for o in gc.get_objects() if type(o) is Session] == []
            if "opentelemetry" in sys.modules:
                from opentelemetry import trace
                assert trace._TRACER_PROVIDER is None
            if "sqlalchemy.orm" in sys.modules and self.whole:
                assert listeners() == [], listeners()
            if "starlette.background" in sys.modules:
                import starlette.background
                assert not hasattr(starlette.background.BackgroundTask, "_otel_original_call")
            if self.whole:
                main = sys.modules["pixsim7.backend.main.main"]
                import fastapi.applications
                assert main.FastAPI is fastapi.applications.FastAPI
                assert main.app.middleware_stack is None
                left = {"build_middleware_stack", "_is_instrumented_by_opentelemetry"}
                assert not left & vars(main.app).keys()
            if "logging" in sys.modules:
                import logging
                filters = [
                    f for log in logging.root.manager.loggerDict.values()
                    for f in getattr(log, "filters", ()) if "gentrace" in type(f).__module__
                ]
                assert filters == []

    STEPS = Steps()
    STEPS.left = []
    START = surroundings()
"""


def in_this_order(order: tuple[str, ...]) -> str:
    """A program that takes these steps."""
    return PROGRAM + f"\n    for step in {order!r}:\n        STEPS.take(step)\n"


def in_the_middle(middle: dict[str, str]) -> str:
    """A program that takes steps when these modules of the host are looked for, and then ends."""
    steps = {f"pixsim7.backend.main.{module}": step for step, module in middle.items()}
    return (
        PROGRAM
        + f"""
    STEPS.middle = {steps!r}
    sys.meta_path.insert(0, STEPS)
    STEPS.take("import")
    assert not STEPS.middle
    STEPS.take("unpatch")
    STEPS.take("patch")
    STEPS.take("unpatch")
"""
    )


Started = Callable[[str], "Future[object]"]


@pytest.fixture(scope="module")
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Started]:
    """Gives a program's end; two run at a time, ahead of the tests that ask for them."""

    def work(program: str) -> object:
        return run(program, tmp_path_factory.mktemp("order"))

    tmp_path_factory.getbasetemp()  # two threads at once would each make it, one over the other
    with ThreadPoolExecutor(2) as pool:
        chosen = [
            str(item.callspec.params["program"])
            for item in request.session.items
            if isinstance(item, pytest.Function)
            and item.module is request.module
            and hasattr(item, "callspec")
        ]
        runs = {program: pool.submit(work, program) for program in chosen}
        yield runs.__getitem__
        for one in runs.values():
            one.cancel()


@pytest.mark.parametrize("program", [in_this_order(o) for o in ORDERS], ids=map("-".join, ORDERS))
def test_every_order(program: str, started: Started) -> None:
    started(program).result()


@pytest.mark.parametrize(
    "program", [in_the_middle(middle) for middle in IN_THE_MIDDLE], ids=map(str, IN_THE_MIDDLE)
)
def test_in_the_middle_of_the_hosts_import(program: str, started: Started) -> None:
    started(program).result()
