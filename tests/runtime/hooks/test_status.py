"""A final status whose commit nobody sees is told before, and taken back where its call fails."""

from __future__ import annotations

import pytest

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.context import Run
from tests.runtime.hooks.conftest import FakeHost
from tests.support.fakehost import CASES, ID, script
from tests.support.host import SmallHost, attributes


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


async def test_what_a_session_read_before_anothers_end_is_not_what_it_replaces(
    host: SmallHost,
) -> None:
    """A poller commits `failed`, and a job's session that had read `processing` puts it back."""
    host.standin.knobs.render_s = 1000.0
    generation_id = str((await host.create()).json()["id"])
    await host.work([host.module("workers.job_processor").process_generation])
    model = host.module("domain.generation")
    statuses = host.module("domain.enums").GenerationStatus
    sessions = host.module("infrastructure.database.session").AsyncSessionLocal
    async with sessions() as job, sessions() as poller:
        key = int(generation_id)
        one, other = [await each.get(model.Generation, key) for each in (job, poller)]
        await job.commit()  # it keeps what it has read, and no lock
        other.status = statuses.FAILED
        await poller.commit()
        one.status = statuses.PENDING
        await job.commit()
        one.status = statuses.PROCESSING
        await job.commit()
    changes = [attributes(span) for span in host.named(names.STATUS_CHANGE)]
    seen = [(told.get(names.STATUS_PREVIOUS), told[names.STATUS]) for told in changes]
    assert seen == [("processing", "failed"), ("failed", "pending"), ("pending", "processing")]
