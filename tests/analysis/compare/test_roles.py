"""Which attributes may be causes: gentrace's own by name, others by their values and last word."""

from __future__ import annotations

import numpy as np
import pytest

from gentrace.analysis.compare.roles import Role, having, role
from gentrace.analysis.compare.table import Column, table
from gentrace.core import names
from tests.support import outside

FEW = Column(np.arange(60, dtype=np.int64) % 3, ["a", "b", "c"])
UNIQUE = Column(np.arange(60, dtype=np.int64), [f"{k:x}" for k in range(60)])
RUN = {name for name, told in names.ATTRIBUTES.items() if "run" in told.on.split(", ")}


@pytest.mark.parametrize(
    "name",
    [names.OPERATION, names.PROVIDER, names.MODEL, names.ACCOUNT_ID, names.USER_ID,
     names.CODE_VERSION, names.DEDUP_RESULT, names.CACHE_RESULT],
)  # fmt: skip
def test_what_was_asked_decided_or_met_is_a_cause(name: str) -> None:
    assert role(name, FEW) is Role.CAUSE
    assert role(name, UNIQUE) is Role.CAUSE


def test_of_the_run_spans_other_attributes_none_is_a_cause() -> None:
    causes = {name for name in RUN if role(name, FEW) is Role.CAUSE}
    assert causes == {
        names.OPERATION, names.PROVIDER, names.MODEL, names.ACCOUNT_ID, names.USER_ID,
        names.CODE_VERSION, names.DEDUP_RESULT, names.CACHE_RESULT,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "column", "wanted"),
    [
        ("shop.region", FEW, Role.CAUSE),
        ("shop.retry_kind", FEW, Role.CAUSE),
        ("shop.tenant.id", FEW, Role.CAUSE),
        ("shop.tenant.id", UNIQUE, Role.NOTHING),
        ("shop.seed", UNIQUE, Role.NOTHING),
        ("shop.render_ms", FEW, Role.NOTHING),
        ("shop.render.duration", FEW, Role.NOTHING),
        ("shop.download.retries", FEW, Role.SYMPTOM),
        ("shop.polls", FEW, Role.SYMPTOM),
        ("shop.discount", FEW, Role.CAUSE),
    ],
)
def test_a_hosts_own_attributes(name: str, column: Column, wanted: Role) -> None:
    assert role(name, column) is wanted


def test_a_model_is_named_before_its_provider() -> None:
    runs = table(outside.rows(outside.world(206)))
    causes = having(runs, Role.CAUSE)
    assert causes[:3] == [names.MODEL, names.PROVIDER, names.OPERATION]
    assert outside.SEED not in causes
    assert outside.LENGTH not in causes
    assert names.PROCESSES not in causes
