"""Targets are found in source that is never run."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentrace.core import profile, targets
from gentrace.core.errors import UsageError
from gentrace.core.targets import Resolved

BOOM = "raise SystemExit('this must not run')\n"


def host(root: Path, **files: str) -> Path:
    """A checkout; ``__`` in a name stands for a slash."""
    for name, text in files.items():
        path = root / "src" / "app" / (name.replace("__", "/").replace("INIT", "__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BOOM + text)
    return root


def resolve(root: Path, *at: str, more: str = "", role: str = "status") -> Resolved:
    listed = ", ".join(f'"{a}"' for a in at)
    loaded, _ = profile.parse(
        f'name = "t"\npackages = ["app", "old_app"]\n'
        f'[[targets]]\nname = "x"\nrole = "{role}"\nat = [{listed}]\n{more}',
        "t.toml",
    )
    return targets.resolve(loaded, root)[0]


def place(resolved: Resolved) -> str:
    assert resolved.file is not None
    return f"{resolved.file.name}:{resolved.line}"


def test_functions_classes_methods_and_values(tmp_path: Path) -> None:
    host(tmp_path, m="app = 1\nclass C:\n  async def f(self): ...\ndef g(): ...\n")
    assert (place(resolve(tmp_path, ".m:app")), resolve(tmp_path, ".m:app").kind) == (
        "m.py:2",
        "value",
    )
    assert place(resolve(tmp_path, ".m:C")) == "m.py:3"
    assert (place(resolve(tmp_path, ".m:C.f")), resolve(tmp_path, ".m:C.f").kind) == (
        "m.py:4",
        "async function",
    )
    assert resolve(tmp_path, ".m:g").kind == "function"


def test_a_module_may_be_a_package_and_definitions_may_be_conditional(tmp_path: Path) -> None:
    host(tmp_path, p__INIT="try:\n  import x\nexcept ImportError:\n  def f(): ...\n")
    assert place(resolve(tmp_path, ".p:f")) == "__init__.py:5"


def test_the_newest_spelling_that_defines_it_wins(tmp_path: Path) -> None:
    host(tmp_path, new="from app.old import f\n", old="def f(): ...\n")
    found = resolve(tmp_path, ".new:f", ".old:f")
    assert (found.spelling, found.notes) == ("app.old:f", ())
    alone = resolve(tmp_path, ".new:f")
    assert place(alone) == "old.py:2"
    assert alone.notes == ("app.new only imports it from app.old",)


def test_a_method_of_a_class_that_is_passed_on_is_its_definers(tmp_path: Path) -> None:
    host(tmp_path, new="from app.old import C\n", old="class C:\n  def f(self): ...\n")
    assert resolve(tmp_path, ".new:C.f", ".old:C.f").spelling == "app.old:C.f"
    alone = resolve(tmp_path, ".new:C.f")
    assert (alone.spelling, place(alone)) == ("app.new:C.f", "old.py:3")
    assert alone.notes[0] == "app.new only imports it from app.old"


def test_a_target_may_be_switched_off(tmp_path: Path) -> None:
    host(tmp_path, m="def f(): ...\n")
    found = resolve(tmp_path)
    assert (found.state, found.reason) == (targets.ABSENT, "switched off by the profile")


def test_what_the_host_is_warned_of_is_not_ours(tmp_path: Path) -> None:
    host(tmp_path, m="x = '\\d'\ndef f(): ...\n")
    assert resolve(tmp_path, ".m:f").state == targets.RESOLVED


def test_relative_imports_are_followed(tmp_path: Path) -> None:
    host(tmp_path, a__b="from ..c import g as f\n", c="def g(): ...\n")
    assert place(resolve(tmp_path, ".a.b:f")) == "c.py:2"


def test_a_method_may_come_from_a_mixin(tmp_path: Path) -> None:
    host(
        tmp_path,
        mixin="class Mixin:\n  async def execute(self): ...\n  def _make_a(self): ...\n",
        m="from .mixin import Mixin\nclass C(Mixin):\n  def _make_b(self): ...\n"
        "  async def execute(self): ...\n  def other(self): ...\n",
    )
    found = resolve(tmp_path, ".m:C", role="adapter", more='methods = ["execute", "_make_*"]')
    assert [(m.name, m.owner, m.file.name, m.line, m.is_async) for m in found.methods] == [
        ("_make_b", "C", "m.py", 4, False),
        ("execute", "C", "m.py", 5, True),
        ("_make_a", "Mixin", "mixin.py", 4, False),
    ]
    inherited = resolve(tmp_path, ".m:C._make_a")
    assert place(inherited) == "mixin.py:4"
    none = resolve(tmp_path, ".m:C", role="adapter", more='methods = ["nothing_*"]')
    assert none.problems


def test_missing_and_absent(tmp_path: Path) -> None:
    host(tmp_path, m="def f(): ...\n")
    gone = resolve(tmp_path, ".m:g", ".elsewhere:g")
    assert gone.state == targets.MISSING
    assert gone.notes[0].endswith("m.py has no g")
    assert resolve(tmp_path, ".m:g", more="optional = true").state == targets.ABSENT
    assert resolve(tmp_path, ".elsewhere:g", more="optional = true").notes == ()


def test_source_that_is_no_python_is_said(tmp_path: Path) -> None:
    host(tmp_path, m="def f(:\n")
    found = resolve(tmp_path, ".m:f")
    assert found.state == targets.MISSING
    assert "SyntaxError" in found.notes[0]


def test_an_argument_that_is_not_there_is_a_problem_unless_an_alternative_fits(
    tmp_path: Path,
) -> None:
    host(tmp_path, m="def f(self, generation, *, code): ...\ndef g(**kwargs): ...\n")
    wrong = resolve(tmp_path, ".m:f", more='read = { id = ["args.job.id", "args.task"] }')
    assert "args.job.id or args.task" in wrong.problems[0]
    for fits in (
        '["args.job.id", "args.generation.id"]',
        '["args.job", "result.id"]',
        '["args.code"]',
    ):
        assert resolve(tmp_path, ".m:f", more=f"read = {{ id = {fits} }}").problems == ()
    assert resolve(tmp_path, ".m:g", more='read = { id = ["args.any"] }').problems == ()


def test_a_library_is_looked_for_beside_this_interpreter(tmp_path: Path) -> None:
    host(tmp_path, m="")
    found = resolve(tmp_path, "rich.console:Console.print")
    assert found.state == targets.RESOLVED
    assert "library" in found.notes[0]
    gone = resolve(tmp_path, "no_such_library:f")
    assert gone.state == targets.ABSENT
    assert gone.reason == "a library, not installed beside this interpreter"


def test_the_checkout_may_be_named_from_within(tmp_path: Path) -> None:
    host(tmp_path, sub__m="def f(): ...\n")
    assert place(resolve(tmp_path / "src" / "app" / "sub", ".sub.m:f")) == "m.py:2"


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_without_the_host_is_wrong_use(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--host"):
        resolve(tmp_path / name, ".m:f")


def test_imports_in_a_circle_end(tmp_path: Path) -> None:
    host(tmp_path, a="from .b import f\n", b="from .a import f\n", c="class C(C): ...\n")
    assert resolve(tmp_path, ".a:f").state == targets.MISSING
    assert resolve(tmp_path, ".c:C", more='methods = ["x"]').problems


def test_the_shipped_profile_resolves_in_the_example_host() -> None:
    loaded, _ = profile.load("pixsim7")
    example = Path(__file__).parents[2] / "examples" / "small_host"
    found = targets.resolve(loaded, example)
    assert [r.target.name for r in found if r.state == targets.MISSING] == []
    assert [problem for r in found for problem in r.problems] == []
