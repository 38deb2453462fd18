"""What the lookups of a creation really met, though the host takes every trouble for a miss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from gentrace.core import names
from tests.support.host import SmallHost, attributes
from tests.support.shape import by_trace
from tools.servers import HOST, free_ports

LOOKUPS = {"dedup": "generation:hash:*", "cache": "generation:cache:*"}
"""Each lookup, with the keys that it reads; the dedup comes first."""

lookups = pytest.mark.parametrize("lookup", LOOKUPS)


def met(host: SmallHost) -> tuple[Any, Any]:
    """What dedup and cache met in the last creation, as it says itself."""
    last = attributes(host.named(names.CREATE_GENERATION)[-1])
    return last.get(names.DEDUP_RESULT), last.get(names.CACHE_RESULT)


def rewrite(host: SmallHost, lookup: str, write: Callable[[Any, str], None]) -> None:
    """Changes what the lookup will read; the other one will find nothing."""
    with host.redis as client:
        for kind, pattern in LOOKUPS.items():
            for key in list(client.scan_iter(pattern)):
                client.delete(key)
                if kind == lookup:
                    write(client, key)


def own(host: SmallHost, lookup: str) -> dict[str, Any]:
    """The attributes of the last creation's span of that lookup."""
    return attributes(host.named(f"generation.{lookup}")[-1])


async def test_a_first_request_misses_both(host: SmallHost) -> None:
    await host.create()
    assert met(host) == ("miss", "miss")
    assert own(host, "dedup")[names.DEDUP_RESULT] == "miss"
    assert own(host, "cache")[names.CACHE_RESULT] == "miss"
    written = [e.name for e in host.one(names.CREATE_GENERATION).events]
    assert written == [names.EVENT_CACHE] * 3  # the key, the hash and the cache


@lookups
async def test_a_hit_answers_with_the_existing_generation(host: SmallHost, lookup: str) -> None:
    first = await host.create()
    if lookup == "cache":
        rewrite(host, "cache", lambda client, key: client.set(key, first.json()["id"]))
    run = host.one(names.CREATE_GENERATION).context
    assert run is not None
    second = await host.create()
    assert second.json()["id"] == first.json()["id"]
    assert met(host) == (("hit", "off") if lookup == "dedup" else ("miss", "hit"))
    server, creation = (
        host.named(n)[-1] for n in ("POST /api/v1/generations", "create_generation")
    )
    for span in (server, creation):
        assert attributes(span)[names.RETURNED_ID] == str(first.json()["id"])
        assert attributes(span)[names.RETURNED_STATUS] == "pending"
        (link,) = span.links
        assert link.context.trace_id == run.trace_id
        assert dict(link.attributes or {}) == {names.LINK: names.LINK_RETURNED}
    assert own(host, lookup)[names.FOUND_ID] == str(first.json()["id"])
    answered = by_trace(host.spans())[-1]
    assert server in answered
    assert len(answered) > 4
    assert not [span.name for span in answered if names.GENERATION_ID in attributes(span)]


@lookups
async def test_a_failed_generation_is_found_and_not_used(host: SmallHost, lookup: str) -> None:
    first = (await host.create()).json()["id"]
    await host.fail(first)
    if lookup == "cache":
        rewrite(host, "cache", lambda client, key: client.set(key, first))
    assert (await host.create()).json()["id"] != first
    assert met(host)[lookup == "cache"] == "skipped_failed"
    assert own(host, lookup)[names.FOUND_ID] == str(first)


@lookups
async def test_a_row_that_is_gone_is_stale(host: SmallHost, lookup: str) -> None:
    await host.create()
    rewrite(host, lookup, lambda client, key: client.set(key, 999))
    assert (await host.create()).json()["id"] == 2
    assert met(host)[lookup == "cache"] == "stale"
    assert own(host, lookup)[names.FOUND_ID] == "999"


@lookups
async def test_an_answer_that_is_an_error(host: SmallHost, lookup: str) -> None:
    await host.create()
    rewrite(host, lookup, lambda client, key: client.hset(key, "wrong", "type"))
    await host.create()
    assert met(host)[lookup == "cache"] == "error"
    assert own(host, lookup)["error.type"] == "redis.exceptions.ResponseError"


@lookups
async def test_a_malformed_value_is_no_miss(host: SmallHost, lookup: str) -> None:
    await host.create()
    rewrite(host, lookup, lambda client, key: client.set(key, "seven"))
    await host.create()
    assert met(host)[lookup == "cache"] == "error"
    assert own(host, lookup)["error.type"] == "lookup_failed"


async def test_redis_is_down(host: SmallHost, monkeypatch: pytest.MonkeyPatch) -> None:
    (closed,) = free_ports(1)
    client = host.module("infrastructure.redis.client")
    async with Redis(host=HOST, port=closed) as down:
        monkeypatch.setattr(client, "_redis", down)
        assert (await host.create()).status_code == 201
    monkeypatch.undo()
    assert met(host) == ("error", "error")
    for lookup in LOOKUPS:
        assert own(host, lookup)["error.type"] == "redis.exceptions.ConnectionError"
    events = host.one(names.CREATE_GENERATION).events
    written = [dict(event.attributes or {})["error.type"] for event in events[1:]]
    assert written == ["redis.exceptions.ConnectionError"] * 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"force_new": True}, ("off", "off")),
        ({"config": {"strategy": "always"}}, ("miss", "off")),
    ],
    ids=["force_new", "strategy always"],
)
async def test_a_lookup_that_is_not_made(
    host: SmallHost, body: dict[str, Any], expected: tuple[str, str]
) -> None:
    await host.create(**body)
    assert met(host) == expected
    assert [bool(host.named(f"generation.{lookup}")) for lookup in LOOKUPS] == [
        value != "off" for value in expected
    ]


async def test_requests_side_by_side_keep_apart(host: SmallHost) -> None:
    answers = await asyncio.gather(*(host.create(f"lighthouse number {n}") for n in range(8)))
    ids = {str(answer.json()["id"]) for answer in answers}
    assert len(ids) == 8
    by_trace: dict[int, set[Any]] = {}
    for span in host.spans():
        assert span.context is not None
        by_trace.setdefault(span.context.trace_id, set()).add(
            attributes(span).get(names.GENERATION_ID)
        )
    made = [found - {None} for found in by_trace.values()]
    assert sorted(len(found) for found in made) == [1] * 8
    assert set().union(*made) == ids


async def test_an_account_that_a_creation_asks_for_is_no_stage(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host looks who could pay; the run has not begun with that account."""
    creation = host.module("services.generation.creation").GenerationCreationService
    accounts = host.module("services.account.account_service").AccountService

    async def sufficient(self: Any, user_id: int, provider_id: str, _credits: int) -> bool:
        return await accounts(self.db).select_account(provider_id, user_id) is not None

    monkeypatch.setattr(creation, "_check_sufficient_credits", sufficient)
    await host.create()
    assert host.one(names.ACCOUNT_SELECT).parent is not None
    await host.fail(1)
    assert attributes(await host.run())[names.STAGE] == "queued"


async def test_a_run_whose_creation_nobody_kept_knows_what_was_asked(host: SmallHost) -> None:
    """Its worker meets it first: what the submission and the row know is told to the run."""
    await host.create()
    host.elsewhere()
    with host.redis as client:
        client.delete(*client.scan_iter("gentrace:*"))
    await host.work()
    await host.fail(1)
    run = attributes(await host.run())
    asked = [run.get(name) for name in (names.OPERATION, names.PROVIDER, names.MODEL)]
    assert asked == ["text_to_video", "pixverse", "v5"]
    assert run[names.INCOMPLETE] == (names.NO_STORE,)
