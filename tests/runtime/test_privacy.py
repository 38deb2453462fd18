"""What a whole generation leaves in its spans of what its user, accounts and provider said."""

from __future__ import annotations

import json

import pytest
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans

from gentrace.core import names
from tests.support.host import ROUTE, SmallHost, attributes
from tests.support.planted_secrets import KEYS, SPELLINGS

PROMPT = "a lighthouse for bob.the.builder@example.com with the key sk-0123456789abcdef"
PRIVATE = (
    "lighthouse",
    "builder",
    "sk-0123456789abcdef",
    "jwt-pixverse",  # the accounts' tokens and addresses, in the host's database
    "pixverse1@example.com",
    "storm",  # the request's name
)


@pytest.mark.parametrize("word", ["", " BADPROMPT", " BOOM", " FILTER", " QUOTA1", " CONC1"])
async def test_no_word_of_it(host: SmallHost, word: str) -> None:
    await host.create(PROMPT + word, name="storm", description=PROMPT)
    await host.work(max_burst_jobs=4)
    spans = host.spans()
    assert [span for span in spans if span.name == names.PROVIDER_EXECUTE]
    text = json.dumps(encode_spans(spans).to_dict())
    assert [private for private in PRIVATE if private in text] == []


async def test_a_request_that_is_refused_with_its_body(host: SmallHost) -> None:
    body = {"config": {"generationType": PROMPT}, "name": "storm"}
    assert PROMPT in (await host.post(f"{ROUTE}?mail=bob.the.builder@example.com", body)).text
    text = json.dumps(encode_spans(host.spans()).to_dict())
    assert [private for private in PRIVATE if private in text] == []


async def test_the_providers_words_stay_where_they_are_its_own(host: SmallHost) -> None:
    await host.create(PROMPT + " BADPROMPT")
    await host.work(max_burst_jobs=2)
    span = host.one(names.PROVIDER_EXECUTE)
    assert attributes(span)[names.ERROR_CODE] == "content_prompt_rejected"
    assert "The prompt was refused" in str(span.status.description)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_the_prompt_in_what_is_no_text(host: SmallHost, spelling: str) -> None:
    """As the model's name, and in Redis: seen before, in each spelling but the first."""
    spelt = SPELLINGS[spelling](PROMPT)
    await host.create(PROMPT, config={"style": {"pixverse": {"model": spelt}}})
    with host.redis as client:
        host.spans()
        keys = [key for key in client.scan_iter("gentrace:*run:*") if client.type(key) == "hash"]
        held = "".join(str(client.hgetall(key)) for key in keys)
    assert names.MODEL in held
    text = json.dumps(encode_spans(host.spans()).to_dict()) + held
    assert [private for private in PRIVATE[:3] if private in text.lower()] == []


async def test_a_key_in_what_is_no_text(host: SmallHost) -> None:
    for key in KEYS.values():
        await host.create("a cat", config={"style": {"pixverse": {"model": key}}}, force_new=True)
    text = json.dumps(encode_spans(host.spans()).to_dict())
    assert "<key:" in text
    assert [key for key in KEYS.values() if key[-12:] in text] == []
