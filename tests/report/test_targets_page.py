"""The page of several checkouts: a small one whole, and the one in docs against the profile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gentrace.analysis import checkouts
from gentrace.cli.app import run
from gentrace.core import profile, targets
from gentrace.report import targets_page

DOCS = Path(__file__).parents[2] / "docs" / "targets.md"
SHOP = """
name = "shop"
packages = ["shop", "old_shop"]
[[targets]]
name = "order"
role = "create"
at = [".orders:Orders.order", ".sales:order"]
read = { id = ["result.id"], user = ["args.user.id"] }
[[targets]]
name = "pay"
role = "adapter"
provider = "bank"
at = [".bank:Bank"]
methods = ["pay_*"]
optional = true
since = "2026-02-01"
[[targets]]
name = "status"
role = "status"
at = [".states:set_status"]
"""
OLD = {"old_shop/sales.py": "def order(user): ...\nBank = 'a | b'\n"}
NEW = {
    "shop/orders.py": "class Orders:\n    async def order(self, who): ...\n",
    "shop/sales.py": "from shop.orders import Orders\n",
    "shop/bank.py": "class Mixin:\n    def pay_now(self): ...\n\nclass Bank(Mixin): ...\n",
    "shop/states.py": "async def set_status(status): ...\n",
}
PAGE = """\
# Where the targets of shop stand

Written by `gentrace doctor --host LABEL=CHECKOUT … --write FILE`, from the source alone: nothing \
of the host is imported or run. How a profile declares its targets is in [profile.md](profile.md).

| | checkout | packages | resolved | absent | missing |
|---|---|---|---|---|---|
| A | A 2026-01-01 | `old_shop` | 1 | 1 | 1 |
| B | B 2026-03-01 | `shop` | 3 | 0 | 0 |
| C | C 2026-04-01 | `shop` | 3 | 0 | 0 |

## Targets

A number is the spelling that stands in that checkout (listed below); – is absent, with its reason \
below; ✗ is missing: required, and nowhere.

| target | role | A | B | C |
|---|---|---|---|---|
| order | create | 2 | 1 | 1 |
| pay | adapter | – | 1 | 1 |
| status | status | ✗ | 1 | 1 |

## Spellings

**order**

1. B–C: `shop.orders:Orders.order` (async function)
2. A: `old_shop.sales:order` (function)

**pay**

1. B–C: `shop.bank:Bank` (class)

**status**

1. B–C: `shop.states:set_status` (async function)

## Methods of the adapters

**pay**

1. B–C: `Mixin.pay_now` (method)

## Absent, and why

**pay**

1. A: comes with 2026-02-01; Bank stands at old_shop/sales.py:2

**status**

1. A: set_status: nowhere in this checkout

## Remarks

**order**

1. B–C: user is read from args.user.id, but order(self, who, …) has no such argument
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def hosts(tmp_path: Path) -> list[str]:
    (tmp_path / "shop.toml").write_text(SHOP)
    return [
        f"A 2026-01-01={write(tmp_path / 'a', OLD)}",
        f"B 2026-03-01={write(tmp_path / 'b', NEW)}",
        f"C 2026-04-01={write(tmp_path / 'c', NEW)}",
    ]


def test_the_whole_page(hosts: list[str]) -> None:
    loaded, _ = profile.parse(SHOP, "shop.toml")
    found = [targets.inspect(loaded, host) for host in hosts]
    page = targets_page.page(loaded.name, found, checkouts.compare(loaded, found))
    assert page == PAGE


def test_what_a_checkout_says_of_itself(tmp_path: Path) -> None:
    both = write(tmp_path / "x", {**OLD, **NEW, "shop/states.py": "def set_status(:\n"})
    loaded, _ = profile.parse(SHOP, "shop.toml")
    found = [targets.inspect(loaded, f"same {n}={both}") for n in (1, 2)]
    page = targets_page.page(loaded.name, found, checkouts.compare(loaded, found))
    assert "| target | role | same 1 | same 2 |" in page
    assert "same 1 holds the host under each of these packages" in page
    assert "same 2: shop/states.py cannot be parsed: SyntaxError" in page
    assert str(tmp_path) not in page


def test_writing_it(hosts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [word for host in hosts for word in ("--host", host)]
    options += ["--profile", str(tmp_path / "shop.toml")]
    file = tmp_path / "page.md"
    assert run(["doctor", *options, "--write", str(file)]) == 1  # one is missing
    said = capsys.readouterr().out
    assert "status (status) is nowhere" in said
    assert "1 resolved, 1 absent, 1 missing, 1 problem" in said
    assert file.read_text() == PAGE
    assert run(["doctor", *options]) == 1
    assert capsys.readouterr().out == PAGE
    assert run(["doctor", *options, "--write", str(tmp_path / "no" / "page.md")]) == 2
    assert "cannot be written: No such file" in capsys.readouterr().err
    assert run(["doctor", "--write", str(file)]) == 2
    assert "name a checkout with --host" in capsys.readouterr().err


def test_several_for_programs(
    hosts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--profile", str(tmp_path / "shop.toml"), "--json"]
    assert run(["doctor", "--host", hosts[0], "--host", hosts[1], *options]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["processes"] == []
    assert [(c["label"], c["date"]) for c in found["checkouts"]] == [
        ("A 2026-01-01", "2026-01-01"),
        ("B 2026-03-01", "2026-03-01"),
    ]
    states = [(row["checkout"][0], row["name"], row["state"]) for row in found["targets"]]
    assert states[:4] == [
        ("A", "order", "resolved"),
        ("A", "pay", "absent"),
        ("A", "status", "missing"),
        ("B", "order", "resolved"),
    ]
    assert [(p["checkout"][0], p["code"]) for p in found["problems"]] == [
        ("A", "target_missing"),
        ("B", "target_mismatch"),
    ]
    assert run(["doctor", "--host", hosts[1], *options]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert "checkout" not in alone["targets"][0]
    assert alone["checkouts"][0]["root"] == str(tmp_path / "b")


def test_the_page_in_docs_is_the_shipped_profiles() -> None:
    page = DOCS.read_text(encoding="utf-8")
    loaded, _ = profile.load()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    heads = [row for row in rows if row[0] == "| target"]
    assert len(heads[0]) == 12, "ten revisions"
    names = [row[0].removeprefix("| ") for row in rows[rows.index(heads[0]) + 1 :]]
    assert names == [target.name for target in loaded.targets]
    assert "✗" not in page.partition("## Targets")[2].partition("| target")[2]
    for target in loaded.targets:
        for at in target.at:
            spelled = [f"`{p}{at}`" if at[0] == "." else f"`{at}`" for p in loaded.packages]
            assert any(s in page for s in spelled), f"{target.name}: no revision has {at}"
