"""The small host with private words in every place where a host may let them out.

`planted:app` is its API, `planted.WorkerSettings` its worker; PLANTED holds the words as JSON.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
from fastapi import Request
from opentelemetry import baggage, context, trace
from sqlalchemy import text


def part(name: str) -> Any:
    """A module of the small host."""
    return importlib.import_module(f"pixsim7.backend.main.{name}")


app: Any = part("main").app
arq_worker: Any = part("workers.arq_worker").WorkerSettings
processing_service: Any = part("services.generation.processing.service").GenerationProcessingService
client: Any = part("services.provider.adapters.pixverse_client").PixverseClient
ProviderError: Any = part("shared.errors").ProviderError
WORDS: dict[str, str] = json.loads(os.environ["PLANTED"])
PROMPT, MAIL, TOKEN, PARAMETER = (WORDS[name] for name in ("prompt", "mail", "token", "parameter"))
MEDIA = f"{part('shared.config').settings.provider_base_url}/media/{quote(PROMPT)}"
URL = f"{MEDIA}?token={TOKEN}&mail={MAIL}"
log, plain = (
    part("shared.logging").get_logger("pixsim7.backend.main.planted"),
    logging.getLogger("pixsim7.planted"),
)
submit, process = client._submit, processing_service.process


async def fail(mail: str) -> None:
    """A route that the profile does not name, and that fails."""
    raise RuntimeError(f"{WORDS['message']} {mail}")


async def carrying(request: Request, call_next: Any) -> Any:
    """Baggage of the host's own."""
    token = context.attach(baggage.set_baggage("mail", MAIL))
    try:
        return await call_next(request)
    finally:
        context.detach(token)


async def refused_by_the_database() -> None:
    """Raises an IntegrityError with its parameters in its text."""
    statement = text("INSERT INTO generations (id, name, final_prompt) VALUES (1, :name, :prompt)")
    async with part("infrastructure.database.session").get_async_session() as db:
        await db.execute(statement, {"name": PARAMETER, "prompt": PROMPT})


async def say_everything(error: Exception) -> None:
    """In logs, on the span at work, on the wire, in a job."""
    fields: dict[str, Any] = {"error": str(error), "error_code": PROMPT, "reason": f"for {PROMPT}"}
    log.warning("provider:error", email=MAIL, **fields)
    log.info("generation_requeued_concurrent_limit", **fields, target_queue=MAIL)
    log.info("billing_charged", credit_type=f"token={TOKEN}", status=str(error))
    plain.warning("Generation %s error_code=%s retryable=%s", 1, PROMPT, MAIL)
    at_work = trace.get_current_span()
    at_work.set_attribute("prompt", PROMPT)
    at_work.add_event(f"the prompt was {PROMPT}", {"text": PROMPT, "mail": MAIL})
    at_work.record_exception(error)
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as http:
        await http.get(URL)
    pool = await part("infrastructure.redis").get_arq_pool()
    await pool.enqueue_job("planted_note", PROMPT, _job_id=f"note:{MAIL}:{id(error)}")


async def say_in_other_forms() -> None:
    """Keys by their shape and by their name, and all of it spelt otherwise, in ids and names."""
    key, named = WORDS["key"], WORDS["named"]
    at_work = trace.get_current_span()
    at_work.set_attribute("generation.model", PROMPT.replace(" ", "-"))
    at_work.set_attribute("generation.provider.job_id", f"video-{key}")
    at_work.set_attribute("error.type", PROMPT.title().replace(" ", ""))
    at_work.add_event(f"to {quote(MAIL)}", {"generation.wait_reason": f"client_secret={named}"})
    log.info("billing_charged", credit_type=quote_plus(PROMPT), status=f"refresh_token={named}")
    said = f'{{"db_password": "{named}, {key}"}} of {quote(MAIL)}'
    plain.warning("Generation %s error_code=%s retryable=%s", 1, key, quote(said))
    log.warning("provider:error", error=json.dumps(said), error_code=key, error_type=quote(PROMPT))
    made = type(f"{PROMPT.title().replace(' ', '')}Error", (RuntimeError,), {})
    at_work.record_exception(made(named))
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {named}"}) as http:
        await http.get(
            f"{MEDIA}/{quote(quote(MAIL, safe=''))}/bot123456:{key}/{quote_plus(PROMPT)}"
        )
        await http.get(f"{MEDIA};jsessionid={named}&sig={named}")
    pool = await part("infrastructure.redis").get_arq_pool()
    for words in (PROMPT.replace(" ", "_"), key):
        await pool.enqueue_job("planted_note", words, _job_id=f"{words}:{id(made)}")


async def submitting(self: Any, path: str, kind: str, **body: Any) -> Any:
    """The provider's client, which says too much where the prompt asks it to."""
    words = str(body.get("prompt"))
    try:
        if "SAID" in words:
            said = f'"{PROMPT}" of {MAIL} refused, see {URL} (Bearer {TOKEN})'
            raise ProviderError(said, error_code=PROMPT, retryable=False)
        if "INTEGRITY" in words:
            await refused_by_the_database()
        made = await submit(self, path, kind, **body)
    except Exception as error:
        await say_everything(error)
        raise
    if "key" in WORDS:
        await say_in_other_forms()
    await say_everything(ProviderError(f"{PROMPT} {MAIL}"))
    return made


async def processing(self: Any, generation_id: int, **given: Any) -> Any:
    """The host's processing, with a reason that says what was asked, or with its own crash."""
    outcome = await process(self, generation_id, **given)
    if outcome.result is not None:
        outcome.result["reason"] = f"account wait: {PROMPT} for {MAIL}, {URL}"
    if outcome.result is not None and outcome.result.get("status") == "failed":
        raise RuntimeError(f"{WORDS['message']} {PROMPT}")
    return outcome


async def planted_note(ctx: dict[str, Any], words: str) -> None:
    """A job that knows no generation."""
    raise RuntimeError(f"{WORDS['message']} {words}")


app.get("/planted/{mail}")(fail)
app.middleware("http")(carrying)
client._submit, processing_service.process = submitting, processing


class WorkerSettings(arq_worker):
    """The small host's worker with one function more."""

    functions: list[Any] = [*arq_worker.functions, planted_note]  # noqa: RUF012
    cron_jobs = arq_worker.cron_jobs
    redis_settings = arq_worker.redis_settings
    on_startup = arq_worker.on_startup
    on_shutdown = arq_worker.on_shutdown
    max_tries = 2
