"""What a request leaves behind: a creation that goes on without it keeps the request's trace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI
from opentelemetry.sdk.trace import ReadableSpan

from gentrace.core import names
from gentrace.runtime import context
from tests.support.host import ROUTE, SmallHost, attributes, until


@dataclass
class Creations:
    """Creates generations as a host's service does; each waits before its INSERT."""

    host: SmallHost
    go: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list[asyncio.Task[Any]])

    async def make(self) -> str:
        """One generation; its id."""
        part = self.host.module
        creation = part("services.generation.creation").GenerationCreationService
        enums, users = part("domain.enums"), part("services.user")
        async with part("infrastructure.database.session").get_async_session() as db:
            service = creation(db, users.UserService())
            check = service._check_sufficient_credits

            async def checked(*given: Any) -> Any:
                self.entered.set()
                await self.go.wait()
                return await check(*given)

            service._check_sufficient_credits = checked
            made = await service.create_generation(
                users.User(1, "somebody"),
                enums.OperationType.TEXT_TO_VIDEO,
                "pixverse",
                {"generation_config": {"prompt": "left behind", "style": {}}},
                force_new=True,
            )
            return str(made.id)

    def leave(self, work: Callable[[], Awaitable[Any]]) -> None:
        """A task that nobody waits for in the request."""
        self.tasks.append(asyncio.ensure_future(work()))

    async def over(self) -> str:
        """The id of what the task made."""
        return await self.tasks[0]


def api(creations: Creations) -> FastAPI:
    """An application that answers before its generation is there."""
    app = FastAPI()

    @app.post(ROUTE)
    async def create(how: str, background: BackgroundTasks) -> str:
        if how == "background":
            creations.leave(creations.entered.wait)
            background.add_task(creations.make)
        elif how == "later":
            creations.leave(later)
        else:
            creations.leave(creations.make)
            await until(creations.entered.is_set)
        return "accepted"

    async def later() -> str:
        await until(lambda: context.current() is None)
        return await creations.make()

    return app


async def ask(app: FastAPI, how: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
        answer = await asyncio.create_task(http.post(ROUTE, params={"how": how}))
    assert answer.status_code == 200


def check(spans: list[ReadableSpan], generation_id: str) -> None:
    """One trace, in which the request's span and all of ours have the id."""
    ours = [s for s in spans if s.kind.name == "SERVER" or scope(s) == "gentrace"]
    assert len(ours) >= 3
    assert {attributes(span).get(names.GENERATION_ID) for span in ours} == {generation_id}
    assert len({span.context.trace_id for span in spans if span.context}) == 1


def scope(span: ReadableSpan) -> str:
    """Whose span that is."""
    return span.instrumentation_scope.name if span.instrumentation_scope else ""


@pytest.mark.parametrize("how", ["task", "background"])
async def test_a_creation_that_outlives_its_request(host: SmallHost, how: str) -> None:
    creations = Creations(host)
    if how == "background":
        creations.go.set()  # its request is over with it, and answered before
    await ask(api(creations), how)
    assert how == "background" or host.spans() == []  # they wait for the id
    creations.go.set()
    await creations.over()
    await until(lambda: host.named(names.CREATE_GENERATION))
    created = host.one(names.CREATE_GENERATION)
    generation_id = attributes(created)[names.GENERATION_ID]
    check(host.spans(), generation_id)
    (server,) = [span for span in host.spans() if span.kind.name == "SERVER"]
    assert server.context is not None
    assert created.parent is not None
    assert created.parent.span_id == server.context.span_id
    assert server.end_time is not None
    assert created.end_time is not None
    assert server.end_time < created.end_time
    await host.work()
    told = attributes(await host.run())
    assert names.INCOMPLETE not in told
    assert told["generation.time.api_s"] > 0


async def test_a_creation_that_begins_after_its_request(host: SmallHost) -> None:
    creations = Creations(host)
    creations.go.set()
    await ask(api(creations), "later")
    generation_id = await creations.over()
    (server,) = [span for span in host.spans() if span.kind.name == "SERVER"]
    made = [span for span in host.spans() if span is not server]
    check(made, generation_id)
    created = host.one(names.CREATE_GENERATION)
    assert created.parent is None
    assert server.context is not None
    (link,) = created.links
    assert link.context.span_id == server.context.span_id
    assert dict(link.attributes or {}) == {names.LINK: names.LINK_REQUEST}
    await host.work()
    told = attributes(await host.run())
    assert names.INCOMPLETE not in told
    assert told["generation.time.api_s"] > 0
