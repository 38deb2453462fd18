"""A profile against a host written for it: each misspelt name is said, with what is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentrace.analysis import doctor
from gentrace.analysis.problem import Problem
from gentrace.core import profile, targets

HOST = {
    "app": """
from fastapi import APIRouter, FastAPI
from shop.orders import router as orders
from shop import plugged
from shop.settings import BASE

app = FastAPI()
api = APIRouter(prefix="/v1")
api.include_router(orders, prefix=BASE)
app.include_router(api)


def plug(plugins):
    for plugin in plugins:
        app.include_router(plugin.router, prefix=plugin.prefix)


app.add_api_route("/direct", plug, methods=["PUT", "POST"])
""",
    "settings": 'BASE = "/shop"\n',
    "orders": """
from fastapi import APIRouter

router = APIRouter()


@router.post("/orders/{order_no:int}/again")
@router.post("/orders")
async def order(): ...


@router.get("/orders")
async def listed(): ...


class OrderError(Exception):
    error_code = "odd"
""",
    "plugged": """
from fastapi import APIRouter

router = APIRouter()
manifest = dict(prefix="/plugged")


@router.delete("/thing")
async def thing(): ...
""",
    "tables": """
from enum import Enum
from typing import Literal
from uuid import UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class State(Enum):
    NEW = "N"
    DONE = "D"
    REJECTED = "R"


class Base(DeclarativeBase):
    pass


class Dated:
    paper: Mapped[str]


class Order(Dated, Base):
    order_no: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped["State"]
    word: Mapped[Literal["up", "down"]]
""",
    "jobs": """
import os
from arq import cron, func
from shop import more
from shop.more import run_press as press

URL = os.environ["SHOP_REDIS"]
MORE = [press]


async def take_in(ctx, order_no): ...


async def sweep(ctx): ...


class Worker:
    functions = [take_in, *MORE, func(more.weigh, name="weigh_it"), "shop.more.pack"] + [more.glue]
    cron_jobs = [cron(sweep, second=0)]
""",
    "more": """
async def run_press(ctx, *, ticket): ...
async def weigh(ctx, order_no): ...
async def pack(ctx, order_no): ...
async def glue(ctx, order_no): ...
""",
}
PROFILE = """
name = "shop"
packages = ["shop"]
redis_url_env = ["SHOP_REDIS"]
provider_pending = []

[statuses]
completed = ["DONE"]
failed = ["REJECTED"]
cancelled = []
held = []
settle_s = { completed = 1, failed = 2 }

[errors]
code = ["error_code"]
messages = ["OrderError"]

[[routes]]
method = "POST"
path = "/v1/shop/orders"

[[routes]]
method = "POST"
path = "/v1/shop/orders/{id}/again"

[[routes]]
method = "DELETE"
path = "/plugged/thing"

[[routes]]
method = "PUT"
path = "/direct"

[[jobs]]
function = "take_in"
id = "order_no"
own = true

[[jobs]]
function = "run_press"
id = "ticket.order"

[[jobs]]
function = "weigh_it"
[[jobs]]
function = "shop.more.pack"
id = "order_no"
[[jobs]]
function = "glue"
[[jobs]]
function = "cron:sweep"

[[jobs]]
function = "of_another_revision"
optional = true

[[targets]]
name = "order"
role = "model"
at = [".tables:Order"]
[targets.read]
id = ["self.order_no"]
status = ["self.state"]
model = ["self.paper"]
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    package = tmp_path / "shop"
    package.mkdir()
    for name, text in {"__init__": "", **HOST}.items():
        (package / f"{name}.py").write_text(text)
    return tmp_path


def problems(host: Path, old: str = "", new: str = "", own: str = "") -> list[Problem]:
    assert old in PROFILE
    loaded, _ = profile.parse(PROFILE.replace(old, new, 1) if old else PROFILE, "shop.toml")
    found = doctor.of_host(loaded, targets.inspect(loaded, f"today={host}"), own)
    return list(found.problems)


def test_what_is_there_is_no_problem(host: Path) -> None:
    assert [problem.summary for problem in problems(host)] == []


@pytest.mark.parametrize(
    ("old", "new", "code", "meant"),
    [
        ('"take_in"', '"tak_in"', "job_missing", "did you mean 'take_in'?"),
        ('"weigh_it"', '"weigh"', "job_missing", "did you mean 'weigh_it'?"),
        ('"run_press"', '"printing"', "job_missing", "no ARQ worker or cron of this host runs"),
        ('id = "order_no"\nown', 'id = "order"\nown', "job_argument", "did you mean 'order_no'?"),
        ('"ticket.order"', '"tiket.order"', "job_argument", "did you mean 'ticket'?"),
        ("/v1/shop/orders", "/v1/shop/order", "route_missing", "POST /v1/shop/orders?"),
        ("/v1/shop/orders", "/shop/orders", "route_missing", "POST /v1/shop/orders?"),
        ("/v1/shop/orders", "/v1/orders", "route_missing", "POST /v1/shop/orders?"),
        ("{id}/again", "{id}/agian", "route_missing", "POST /v1/shop/orders/{}/again?"),
        ('"DELETE"', '"GET"', "route_missing", "did you mean DELETE /plugged/thing?"),
        ("/plugged/thing", "/plugd/thing", "route_missing", "DELETE /plugged/thing?"),
        ("self.state", "self.sate", "attribute_missing", "did you mean 'state'?"),
        ("self.order_no", "self.orderno", "attribute_missing", "did you mean 'order_no'?"),
        ('"DONE"', '"DOEN"', "status_missing", "did you mean 'done'?"),
        ('"REJECTED"', '"broken"', "status_missing", "no status of this host is 'broken'"),
        (".tables:Order", ".tables:Ordre", "target_missing", "did you mean shop.tables:Order?"),
        (".tables:Order", ".tabels:Order", "target_missing", "did you mean shop.tables:Order?"),
    ],
)  # fmt: skip
def test_what_decides_about_the_times_is_a_problem(
    host: Path, old: str, new: str, code: str, meant: str
) -> None:
    (problem,) = problems(host, old, new)
    assert (problem.code, problem.serious) == (code, True)
    assert meant in problem.summary


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("self.paper", "self.papr", "did you mean 'paper'?"),
        ('"OrderError"', '"OrdrError"', "did you mean 'OrderError'?"),
        ('["error_code"]', '["eror_code"]', "did you mean 'error_code'?"),
        ('["SHOP_REDIS"]', '["SHOP_REDISS"]', "did you mean 'SHOP_REDIS'?"),
        ("failed = 2", "faild = 2", "did you mean 'failed'?"),
    ],
)
def test_the_rest_is_a_remark(host: Path, old: str, new: str, meant: str) -> None:
    (problem,) = problems(host, old, new)
    assert (problem.serious, meant in problem.summary) == (False, True)


def test_a_list_that_cannot_be_read_makes_no_problem_of_what_it_may_hold(host: Path) -> None:
    jobs = host / "shop" / "jobs.py"
    jobs.write_text(jobs.read_text().replace("+ [more.glue]", "+ list(os.environ)"))
    (problem,) = problems(host)
    assert (problem.code, problem.serious) == ("job_missing", False)
    assert "as far as its lists can be read" in problem.summary


def test_an_optional_entry_is_missed_where_another_is_nearly_called_so(host: Path) -> None:
    (problem,) = problems(host, '"of_another_revision"', '"sweeps"')
    assert (problem.code, "did you mean 'sweep'?" in problem.summary) == ("job_missing", True)


def test_who_can_change_the_profile_is_not_told_to_extend_it(host: Path) -> None:
    for old, new in (('"take_in"', '"tak_in"'), ("self.state", "self.x"), (":Order", ":Ordre")):
        (own,) = problems(host, old, new, own="mine.toml")
        assert "the profile mine.toml" in own.fix
        assert "extends" not in own.fix
        (shipped,) = problems(host, old, new)
        assert 'extends = "shop"' in shipped.fix


def test_optional_entries_of_which_none_is_here_are_a_problem(host: Path) -> None:
    found = problems(host, 'function = "take_in"\n', 'function = "other"\noptional = true\n')
    assert [(p.code, p.serious) for p in found] == [("job_missing", True)]
