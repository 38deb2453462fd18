"""Only one of the two processes has gentrace: the job runs as ever, and its half is a trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import reading
from tests.support.otlp_receiver import Span, receiver
from tests.support.small_host import small_host

ON = {"GENTRACE": "1"}
SAME = (
    "status",
    "operation_type",
    "provider_id",
    "error_code",
    "retry_count",
    "attempt_count",
    "billing_state",
    "final_prompt",
    "canonical_params",
    "reproducible_hash",
    "asset_id",
)


@dataclass(frozen=True)
class Deploy:
    """What a deployment made of the same requests."""

    generations: list[dict[str, Any]]
    spans: list[Span]
    said: list[str]


def deploy(api: bool, worker: bool, failed: Callable[[], bool]) -> Deploy:
    """One generation that ends well, one that is retried, one that is refused."""
    with receiver() as received:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint, "ACCOUNT_COUNT": "1"}
        api_env, worker_env = ON if api else {}, ON if worker else {}
        with small_host(env, api_env=api_env, worker_env=worker_env, failed=failed) as host:
            ids = [host.submit(prompt) for prompt in ("one", "two FILTER1", "three BADPROMPT")]
            host.wait_final(ids)
            for generation_id in ids[:2]:  # after the end it is billed
                host.wait_status(generation_id, "charged", key="billing_state")
            ended = [host.generation(generation_id) for generation_id in ids]
            said = [line for program in host.programs for line in program.said()]
        kept = [{key: generation[key] for key in SAME} for generation in ended]
        for each in kept:
            each["asset_id"] = each["asset_id"] is not None
        return Deploy(kept, received.spans(), said)


@pytest.fixture(scope="module")
def neither(anything_failed: Callable[[], bool]) -> Deploy:
    """No process has gentrace."""
    return deploy(False, False, anything_failed)


def test_without_gentrace_there_is_nothing(neither: Deploy) -> None:
    assert [g["status"] for g in neither.generations] == ["completed", "completed", "failed"]
    assert neither.spans == []
    assert neither.said == []


def test_with_the_api_alone(neither: Deploy, anything_failed: Callable[[], bool]) -> None:
    found = deploy(True, False, anything_failed)
    assert found.generations == neither.generations
    assert len(found.said) == 1
    for generation_id in ("1", "2", "3"):
        spans = reading.of_generation(found.spans, generation_id)
        assert reading.names(spans) >= reading.OF_THE_API
        assert reading.services(spans) == {"pixsim7-api"}
        assert [root["name"] for root in reading.roots(spans)] == [reading.SERVER_SPAN]
    assert len(reading.by_trace(found.spans)) == 3
    assert reading.orphans(found.spans) == []


def test_with_the_worker_alone(neither: Deploy, anything_failed: Callable[[], bool]) -> None:
    found = deploy(False, True, anything_failed)
    assert found.generations == neither.generations
    assert len(found.said) == 1
    for generation_id in ("1", "2", "3"):
        spans = reading.of_generation(found.spans, generation_id)
        assert {"process_generation", "provider.execute"} <= reading.names(spans)
        assert reading.services(spans) == {"pixsim7-worker"}
        (root,) = reading.roots(spans)
        assert root["name"] == "process_generation"
        assert root["attributes"]["gentrace.incomplete"] == ["adopted"]
    assert len(reading.by_trace(found.spans)) == 3
    assert reading.orphans(found.spans) == []
