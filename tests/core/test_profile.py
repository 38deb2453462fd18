"""The profile loader: what it accepts, and what exactly it says of what it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentrace.core import switch
from gentrace.core.errors import ProfileError
from gentrace.core.profile import ROLES, Job, Statuses, Target, load, parse

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
        (("[[targets]]", "[targets]"), "[[targets]] was expected"),
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name", 'colour = "red"\nname'), "unknown key 'colour'"),
        (('role = "create"', 'role = "create"\nrolle = "x"'), "unknown key 'rolle'; did you mean"),
        (("id = [", "idd = ["), "unknown key 'idd'; did you mean 'id'?"),
        (
            ('packages = ["shop.backend",', 'packages = ["no-package",'),
            "'no-package' is no name of",
        ),
        (('".orders:create",', '".orders.create",'), "'.orders.create' is not of the form"),
        (("name", "trust_incoming = 1\nname"), "bool was expected, found 1"),
    ],
)
def test_at_runtime_a_mistake_is_a_warning_and_the_rest_holds(
    change: tuple[str, str], said: str
) -> None:
    text = SMALL.replace(*change, 1)
    profile, warnings = parse(text, "x", strict=False)
    assert profile.name == "shop"
    assert profile.packages[-1] == "shop"
    assert [target.at[-1] for target in profile.targets] == ["shop_old.orders:create"]
    assert not profile.trust_incoming
    assert len(warnings) == 1
    assert said in warnings[0]
    assert "\n" not in warnings[0]
    with pytest.raises(ProfileError, match="profile x: "):
        parse(text, "x")


@pytest.mark.parametrize("mistake", ['role = "creat"', "at = []"])
def test_at_runtime_a_target_that_cannot_be_used_is_left_out(mistake: str) -> None:
    again = f'\n[[targets]]\nname = "other"\n{mistake}\n'
    profile, warnings = parse(SMALL + again, "x", strict=False)
    assert [target.name for target in profile.targets] == ["create"]
    assert "targets[other]: missing" in warnings[0]


@pytest.mark.parametrize("text", ["", "name = 1", "x" * 10_000, "[" * 100_000, "a = [" * 10_000])
def test_what_is_no_profile_at_all_is_one_short_line(text: str) -> None:
    for strict in (True, False):
        with pytest.raises(ProfileError) as caught:
            parse(text, "x", strict=strict)
        assert len(str(caught.value)) < 300
        assert "\n" not in str(caught.value)


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


def package(folder: Path, name: str, files: dict[str, str], offers: str) -> None:
    """An installed package that offers a profile, as far as importlib sees."""
    for file, text in files.items():
        path = folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = folder / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[gentrace.profiles]\n{offers}\n")


LINES = (Path(switch.PROFILES) / "pixsim7.toml").read_text(encoding="utf-8").splitlines()
VALUES = ["7", '"x"', "[1, 2]", "{ a = 1 }", "true", "[]", '[["a"]]', '""', "nan", "[{}]"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(LINES) - 1), st.sampled_from(["", *VALUES]), st.booleans())
def test_no_single_line_makes_the_profile_anything_but_usable_or_refused(
    number: int, value: str, strict: bool
) -> None:
    key, equals, _ = LINES[number].partition(" = ")
    changed = f"{key}{equals}{value}" if equals and value else ""
    try:
        profile, warnings = parse("\n".join([*LINES[:number], changed, *LINES[number + 1 :]]), "x",
                                  strict=strict)  # fmt: skip
    except ProfileError as exc:
        said = str(exc)
    else:
        said = "".join(warnings)
        assert not strict or not warnings
        assert all(target.spellings(profile.packages) or not target.at
                   for target in profile.targets)  # fmt: skip
    assert "\n" not in said


def test_an_installed_package_may_offer_a_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    package(one, "shop_tracing", {"__init__.py": "", "shop.toml": SMALL},
            "shop = shop_tracing:shop.toml\ngone = shop_tracing:gone.toml\n"
            "bad = shop_tracing.nowhere")  # fmt: skip
    package(two, "raising", {"__init__.py": "1 / 0"}, "raises = raising:x.toml\nshop = raising:x")
    monkeypatch.syspath_prepend(str(one))
    assert load("shop")[0].name == "shop"
    for name, said in (
        ("gone", "entry point shop_tracing:gone.toml cannot be read: FileNotFoundError"),
        ("bad", "cannot be read: ModuleNotFoundError"),
        ("none", "shipped: pixsim7; by installed packages: bad, gone, shop;"),
    ):
        with pytest.raises(ProfileError, match=said):
            load(name)
    monkeypatch.syspath_prepend(str(two))
    with pytest.raises(ProfileError, match="cannot be read: ZeroDivisionError"):
        load("raises")
    with pytest.raises(ProfileError, match=r"two packages offer it \(raising:x, shop_tracing:shop"):
        load("shop")


def write(folder: Path, **files: str) -> Path:
    """Profiles in files; returns the last one's path."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return folder / f"{[*files][-1]}.toml"


def test_a_profile_may_change_a_few_things_of_another(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        mine="""
extends = "pixsim7"
propagate_to = ["inside.example"]
[statuses]
final = ["completed", "failed", "cancelled", "expired"]
[[jobs]]
function = "process_generation"
id = "gen"
[[routes]]
method = "PUT"
path = "/x"
[[targets]]
name = "update_status"
at = [".states:set_status"]
[[targets]]
name = "remaker"
at = []
[[targets]]
name = "price"
role = "credits"
at = [".prices:price"]
""",
    )
    shipped, mine = load()[0], load(str(file))[0]
    assert (mine.name, mine.packages) == (shipped.name, shipped.packages)
    assert switch.packages(str(file)) == ()  # the profile is loaded whole then
    assert mine.propagate_to == ("inside.example",)
    assert mine.statuses.final[-1] == "expired"
    assert mine.statuses.failed == shipped.statuses.failed
    assert mine.errors == shipped.errors
    job = mine.job("process_generation")
    assert job is not None
    assert (job.id, job.own) == ("gen", True)
    assert [r.path for r in mine.routes] == [*(r.path for r in shipped.routes), "/x"]
    ours = {t.name: t for t in mine.targets}
    for target in shipped.targets:
        changed = {"update_status": (".states:set_status",), "remaker": ()}
        assert ours[target.name] == replace(target, at=changed.get(target.name, target.at))
    assert mine.targets[-1].name == "price"


def test_a_chain_of_profiles_and_a_circle(tmp_path: Path) -> None:
    below = 'extends = "base.toml"\nname = "middle"\n'
    file = write(tmp_path, base=SMALL, middle=below, top='extends = "middle.toml"\n')
    assert load(str(file))[0].name == "middle"
    write(tmp_path, base='extends = "top.toml"\n')
    with pytest.raises(ProfileError, match=r"middle.toml → .*base.toml → .*top.toml is a circle"):
        load(str(file))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[targets]]\nname = "update_statuz"\nat = []', "did you mean 'update_status'?"),
        ('[[targets]]\nname = "zzz"\nat = []', "a new target needs role and at"),
        ("targets = 7", r"profile.targets: \[\[targets\]\] was expected"),
        ("targets = [7]", r"targets\[\d+\]: a table was expected"),
        ("statuses = 7", "profile.statuses: a table was expected"),
        ("extends = 7", "duplicate|Cannot overwrite"),
    ],
)
def test_mistakes_in_a_profile_that_extends(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, mine=f'extends = "pixsim7"\n{text}\n')
    with pytest.raises(ProfileError, match=said):
        load(str(file))


def test_at_runtime_a_target_that_is_neither_new_nor_known_is_left_out(tmp_path: Path) -> None:
    text = 'extends = "pixsim7"\n[[targets]]\nname = "update_statuz"\nat = [".x:y"]\n'
    profile, warnings = load(str(write(tmp_path, mine=text)), strict=False)
    assert profile.targets == load()[0].targets
    assert len(warnings) == 1
    assert "targets[update_statuz]: a new target needs role and at" in warnings[0]


def test_what_is_extended_must_be_there(tmp_path: Path) -> None:
    file = write(tmp_path, mine='extends = "pixsim8"\n')
    with pytest.raises(ProfileError, match="'pixsim8': no such profile"):
        load(str(file))
    for other in ("7", '""'):
        with pytest.raises(ProfileError, match="extends: the name of a profile"):
            load(str(write(tmp_path, mine=f"extends = {other}\n")))


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


def test_statuses_have_one_word_for_what_they_mean_however_they_are_written() -> None:
    words = '[statuses]\ncompleted = ["DONE"]\nfailed = ["Rejected", "LOST"]\n'
    statuses = parse(SMALL + words + "settle_s = { failed = 1, LOST = 0.5 }", "t")[0].statuses
    assert statuses.final == ("done", "rejected", "lost", "cancelled")
    told = {word: statuses.outcome(word) for word in ("Done", "REJECTED", "lost", "new")}
    assert told == {"Done": "completed", "REJECTED": "failed", "lost": "failed", "new": None}
    settling = [statuses.settle_s[word] for word in ("done", "rejected", "lost", "cancelled")]
    assert settling == [0.5, 1.0, 0.5, 2.0]


def test_final_words_that_no_list_names_mean_completed() -> None:
    statuses = Statuses(final=("ready", "failed"), failed=("failed",))
    assert (statuses.outcome("ready"), statuses.outcome("failed")) == ("completed", "failed")
    assert statuses.outcome("completed") is None  # this host means something else by it


@pytest.mark.parametrize("given", ["true", "-1", '"2"', "inf", "nan", "1" + "0" * 400])
def test_settling_takes_seconds_only(given: str) -> None:
    with pytest.raises(ProfileError, match=r"statuses\.settle_s\.failed: seconds were expected"):
        parse(f"{SMALL}[statuses]\nsettle_s = {{ failed = {given} }}", "t")


@pytest.mark.parametrize(
    ("job", "args", "kwargs"),
    [
        (Job("f", "order"), (), {"order": 7}),
        (Job("f", "order", 1), ("x", 7), {}),
        (Job("f", position=1), ("x", 7), {}),
        (Job("f", "ticket.order.id"), (), {"ticket": {"order": {"id": 7}}}),
        (Job("f", "ticket.id"), (SimpleNamespace(id=7),), {}),
    ],
)
def test_a_jobs_id_by_name_by_position_and_inside_an_argument(
    job: Job, args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    assert job.generation_in(args, kwargs) == 7


def test_a_jobs_id_that_is_not_there_is_none() -> None:
    assert Job("f", "ticket.id").generation_in((), {"ticket": {"no": 7}}) is None
    assert Job("f").generation_in((), {"x": 7}) is None


def test_own_jobs_have_one_name_in_spans() -> None:
    jobs = '[[jobs]]\nfunction = "print"\nown = true\n[[jobs]]\nfunction = "look"\n'
    shop, _ = parse(SMALL + jobs, "t")
    assert [shop.span_of(f) for f in ("print", "look")] == ["process_generation", "look"]
    assert [shop.host_function(f) for f in ("print", "look")] == ["print", None]


def test_the_default_profile_is_one_of_the_shipped() -> None:
    assert load() == load(switch.default_profile())
    assert switch.profile_name({}) == switch.default_profile()
    assert switch.profile_name({"GENTRACE_PROFILE": "shop"}) == "shop"
