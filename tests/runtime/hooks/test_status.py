"""A final status whose commit nobody sees is told before, and taken back where its call fails."""

from __future__ import annotations

import pytest

from gentrace.runtime import context
from gentrace.runtime.context import Run
from tests.runtime.hooks.conftest import FakeHost
from tests.support.fakehost import CASES, ID, script


@pytest.mark.parametrize("fails", [True, False])
def test_a_final_status_whose_call_fails_is_not_coming(
    fake: FakeHost, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    (case,) = (case for case in CASES if case.target.name == "update_status")
    store, told = fake.session.engine.store, list[str]()
    not_coming = store.not_coming

    def noted(run: Run) -> None:
        told.append(run.coming)
        not_coming(run)

    def look() -> None:
        run = context.find(str(ID))
        assert run is not None
        assert run.coming == "completed"

    monkeypatch.setattr(fake.session.engine, "status_is_seen", False)
    monkeypatch.setattr(store, "not_coming", noted)
    script.work = look
    if fails:
        script.outcome = LookupError("no connection")
        with pytest.raises(LookupError):
            fake.run(case)
    else:
        fake.run(case)
    assert told == (["completed"] if fails else [])
