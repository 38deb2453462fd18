"""The profile loader: what it accepts, and what exactly it says of what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentrace.core import switch
from gentrace.core.errors import ProfileError
from gentrace.core.profile import ROLES, Target, load, parse

SMALL = """
name = "shop"
packages = ["shop.backend", "shop"]

[[targets]]
name = "create"
role = "create"
at = [".orders:create", "shop_old.orders:create"]
read = { id = ["result.id"], function = ["=work"] }
"""


def test_the_shipped_profile_is_whole() -> None:
    profile, warnings = load("pixsim7")
    assert warnings == []
    assert profile.name == "pixsim7"
    assert {target.role for target in profile.targets} <= set(ROLES)
    job = profile.job("process_generation")
    assert job is not None
    assert job.own


def test_the_packages_that_the_switch_reads_are_the_profiles() -> None:
    assert switch.packages("pixsim7") == load("pixsim7")[0].packages


def test_spellings_put_every_package_in_front() -> None:
    target = Target("t", "create", (".orders:create", "other.place:f"))
    assert target.spellings(("a.b", "c")) == [
        ("a.b.orders", "create"),
        ("c.orders", "create"),
        ("other.place", "f"),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name = ", "nmae = "), "profile: unknown key 'nmae'; did you mean 'name'?"),
        (('role = "create"', 'rolle = "create"'), "unknown key 'rolle'; did you mean 'role'?"),
        (('role = "create"', 'role = "creat"'), "targets[create]: unknown role 'creat'; did you"),
        (('role = "create"', ""), "targets[create]: missing 'role'"),
        (('".orders:create"', '".orders.create"'), "'.orders.create' is not of the form module:"),
        (('"result.id"', '"answer.id"'), "read.id: path 'answer.id' must start with one of"),
        (('["result.id"]', "7"), "read.id: a list of strings was expected, found 7"),
        (('["shop.backend", "shop"]', "[]"), "packages: at least one package is needed"),
        (('["shop.backend", "shop"]', "3"), "profile.packages: a list of strings was expected"),
        (("[[targets]]", "[targets]"), "[[profile.targets]] was expected"),
        (('name = "shop"', 'name = "shop'), "not valid TOML"),
    ],
)
def test_a_mistake_is_said_with_its_place(change: tuple[str, str], said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(SMALL.replace(*change, 1), "shop.toml")
    message = str(caught.value)
    assert said in message
    assert message.startswith("profile shop.toml: ")
    assert "\n" not in message


def test_a_target_named_twice() -> None:
    again = SMALL[SMALL.index("[[targets]]") :]
    with pytest.raises(ProfileError, match=r"targets\[create\]: this name is used twice"):
        parse(SMALL + again, "shop.toml")


def test_at_runtime_an_unknown_key_is_a_warning() -> None:
    profile, warnings = parse(SMALL.replace("name", 'colour = "red"\nname', 1), "x", strict=False)
    assert profile.name == "shop"
    assert len(warnings) == 1
    assert "unknown key 'colour'" in warnings[0]


def test_where_a_profile_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SMALL)
    assert load(str(file))[0].name == "shop"
    assert switch.packages(str(file)) == ("shop.backend", "shop")
    with pytest.raises(ProfileError, match="cannot be read: No such file"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(ProfileError, match=r"no such profile; shipped: pixsim7"):
        load("pixsim8")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match="not UTF-8"):
        load(str(file))
    assert switch.packages(str(file)) == ()


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ('packages = ["a.b", "c"]', ("a.b", "c")),
        ('name="x"\npackages=["a"]  ', ("a",)),
        ("packages = ['a']", ()),  # only the parser understands it
        ('packages = [\n  "a",\n]', ()),
        ('[errors]\npackages = ["a"]', ()),
        ('# packages = ["a"]', ()),
        ("", ()),
    ],
)
def test_the_switch_reads_packages_or_leaves_it(
    tmp_path: Path, text: str, packages: tuple[str, ...]
) -> None:
    file = tmp_path / "p.toml"
    file.write_text(text)
    assert switch.packages(str(file)) == packages
