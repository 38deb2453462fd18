"""Checkouts made from the profile's own spellings, in which each target stands at one of them.

Every function answers with its own name. What is async, static or a class is as in the small host;
what that does not have is an async function. Each module is a package, so that any of them may
hold others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from gentrace.core import profile, targets
from gentrace.core.profile import Target
from tests.support.host import FOLDER

PROFILE = profile.load()[0]
# The methods that an adapter's patterns are tried with
METHODS = {
    "execute": "execute",
    "check_status": "check_status",
    "_generate_*": "_generate_text_to_video",
    "_extend_*": "_extend_video",
    "_execute_*": "_execute_editor",
    "check_*_from_list": "check_video_status_from_list",
}
MAPPED = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
class Base(DeclarativeBase): ...
class {name}(Base):
    __tablename__ = "generations"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column()
"""


@dataclass(frozen=True)
class Place:
    """One target at one of its spellings."""

    target: Target
    module: str
    qualname: str
    kind: str

    @property
    def is_async(self) -> bool:
        return self.kind == "async function"

    @property
    def functions(self) -> list[str]:
        """The names to be hooked there."""
        if self.target.methods:
            return [METHODS[pattern] for pattern in self.target.methods]
        return [self.qualname.rpartition(".")[2]] if "function" in self.kind else []


def _kinds() -> dict[str, str]:
    found = targets.resolve(PROFILE, FOLDER)
    settings = {t.name: "class" for t in PROFILE.targets if t.role == "settings"}
    return {**settings, **{r.target.name: r.kind for r in found if r.kind}}


def places() -> dict[str, list[Place]]:
    """Every spelling of every target of the host's own, with each package put in front."""
    kinds = _kinds()
    return {
        target.name: [
            Place(target, module, qualname, kinds.get(target.name, "async function"))
            for module, qualname in target.spellings(PROFILE.packages)
        ]
        for target in PROFILE.targets
        if target.at[0].startswith(".")
    }


def rounds() -> list[list[Place]]:
    """The first spelling of each target, the second of each that has one, and so on."""
    every = list(places().values())
    return [[p[n] for p in every if n < len(p)] for n in range(max(map(len, every)))]


def write(root: Path, chosen: list[Place], imports: dict[str, set[str]] | None = None) -> None:
    """A checkout with these and nothing else; ``imports`` are lines of modules that pass on."""
    classes: dict[tuple[str, str], list[str]] = defaultdict(list)
    heads: dict[str, list[str]] = defaultdict(list)
    for place in chosen:
        owner, _, name = place.qualname.rpartition(".")
        if place.target.role == "model":
            heads[place.module].append(MAPPED.format(name=name))
            classes[place.module, name] += ["status: Mapped[str] = mapped_column()"]
        elif place.kind == "value":
            heads[place.module].append(f"{name} = object()")
        elif place.kind == "class":
            classes[place.module, name] += [_function(f, True, True) for f in place.functions]
        else:
            classes[place.module, owner].append(_function(name, place.is_async, bool(owner)))
    for (module, owner), functions in classes.items():
        head = next((h for h in heads[module] if f"class {owner}(Base)" in h), "")
        if head:
            heads[module][heads[module].index(head)] = head + _indented(functions)
        elif owner:
            heads[module].append(f"class {owner}:\n    ...\n{_indented(functions)}")
        else:
            heads[module] += functions
    for module, lines in (imports or {}).items():
        heads[module] += sorted(lines)
    for module, texts in heads.items():
        folder = root.joinpath(*module.split("."))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text("\n".join(texts) + "\n")
        for parent in folder.parents:
            if parent == root:
                break
            (parent / "__init__.py").touch()


def _function(name: str, is_async: bool, method: bool) -> str:
    static = "@staticmethod\n" if name == "compute_hash" else ""
    head = "async def" if is_async else "def"
    me = "self, " if method and not static else ""
    return f'{static}{head} {name}({me}*args, **more):\n    return "{name}"'


def _indented(functions: list[str]) -> str:
    return "\n".join("    " + line for text in functions for line in text.splitlines())


LOOK = """
    import asyncio, importlib, inspect, json, sys
    sys.path.insert(0, sys.argv[1] if len(sys.argv) > 1 else "checkout")
    import gentrace
    from gentrace.runtime import notices, startup, wrapping
    swallowed = []
    notices.on_swallowed.append(lambda where, exc: swallowed.append(f"{where}: {exc!r}"))
    assert gentrace.instrument()

    def layers(found):
        "How many wrappers of ours stand around it."
        count = 0
        while wrapping.is_hook(found):
            count, found = count + 1, wrapping.wrapper_in(found).__wrapped__
        return count

    async def look(module, qualname, functions):
        "Each function of that place: its wrappers, whether it is async, what it answers."
        owner = importlib.import_module(module)
        path = qualname.split(".")
        for part in path if functions and path[-1] not in functions else path[:-1]:
            owner = getattr(owner, part)
        seen = []
        for name in functions:
            found = getattr(owner, name)
            static = isinstance(inspect.getattr_static(owner, name), staticmethod)
            method = inspect.isclass(owner) and not name == "compute_hash"
            answer = found(object.__new__(owner)) if method else found()
            is_async = inspect.iscoroutinefunction(found)
            answer = await answer if is_async else answer
            seen.append([name, layers(inspect.getattr_static(owner, name)), is_async, answer])
        return seen
"""
