"""Nothing private survives the way out, wherever in a span it stood."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from gentrace.core import names
from gentrace.core.scrub import Scrubber
from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.export.installation_key import installation_key
from gentrace.runtime.export.scrubbing import clean

SCRUBBER = Scrubber(b"the installation's key")
letters = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=6, max_size=30)
words = st.text("abcdefgh ijklm\nnop.,:;'\"()", max_size=40)
emails = st.builds("{}@{}.example.com".format, letters, letters)
tokens = st.builds("eyJ{0}.{1}.{0}".format, letters, letters)
bearers = st.builds("secret{}".format, letters)
queries = st.builds("key={}&part=2".format, letters)
prompts = st.text("abcdefghijklmnopqrstuvwxyz <>:0123456789", min_size=12, max_size=80)


@given(words, emails, words)
def test_an_email_does_not_survive(before: str, email: str, after: str) -> None:
    assert email not in SCRUBBER.text(f"{before} {email} {after}")


@given(words, tokens, words)
def test_a_token_does_not_survive(before: str, token: str, after: str) -> None:
    assert token not in SCRUBBER.text(f"{before} {token} {after}")


@given(
    words, st.sampled_from(["Bearer {}", "api_key={}", '"password": "{}"', "cookie: {}"]), bearers
)
def test_a_named_secret_does_not_survive(before: str, form: str, secret: str) -> None:
    assert secret not in SCRUBBER.text(f"{before} {form.format(secret)}")


@given(words, queries)
def test_a_query_does_not_survive(before: str, query: str) -> None:
    shown = SCRUBBER.text(f"{before} https://host.example/path/file.mp4?{query} more")
    assert query not in shown
    assert "https://host.example/path/file.mp4" in shown


@given(words, prompts, words, st.data())
@example("", "<prompt:9:abcdef", "", None)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_part_of_a_prompt_survives(before: str, prompt: str, after: str, data: Any) -> None:
    start = 0 if data is None else data.draw(st.integers(0, len(prompt) - 10))
    part = prompt[start : start + 40]
    shown = SCRUBBER.text(f"{before}[{part}]{after}", (prompt,))
    left = "".join(piece if not piece.startswith("<prompt:") else "\n" for piece in _pieces(shown))
    assert not [n for n in range(len(part) - 8) if part[n : n + 9] in left]


def _pieces(text: str) -> list[str]:
    """The text in pieces, each mark one of them."""
    import re

    return re.split(r"(<prompt:\d+:[0-9a-f]{8}>)", text)


def test_equal_secrets_look_equal_under_one_key_only() -> None:
    text = "bob@example.com"
    assert SCRUBBER.text(text) == SCRUBBER.text(text) != Scrubber(b"another").text(text)


SECRET = "bob.the.builder@example.com"
PRIVATE = {
    "http.url": f"https://host.example/a?token={SECRET}",
    "url.full": f"https://user:{SECRET}@host.example/a?q={SECRET}",
    "http.target": f"/a?mail={SECRET}",
    "db.statement": f"SELECT * FROM users WHERE email = '{SECRET}'",
    "db.query.text": f"UPDATE users SET email = '{SECRET}'",
    "http.request.header.authorization": SECRET,
    "generation.invented": SECRET,
    "gentrace.invented": SECRET,
    "user.email": SECRET,
    "exception.message": SECRET,
    "exception.stacktrace": f"ValueError: {SECRET}",
}


@pytest.mark.parametrize("scope", ["gentrace", "opentelemetry.instrumentation.httpx"])
def test_a_whole_span_as_it_leaves(scope: str) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer(scope)
    link = Link(SpanContext(1, 2, is_remote=True), PRIVATE)
    span = tracer.start_span("work", attributes=PRIVATE, links=[link])
    span.set_attribute(names.GENERATION_ID, "7")
    span.add_event("exception", PRIVATE)
    span.record_exception(ValueError(SECRET))
    span.set_status(Status(StatusCode.ERROR, f"ValueError: {SECRET}"))
    span.end()
    (cleaned,) = clean([span], Resource({"service.name": "pixsim7-api"}), SCRUBBER)
    text = json.dumps(encode_spans([cleaned]).to_dict())
    assert "builder" not in text
    assert '"7"' in text
    assert isinstance(span, ReadableSpan)
    assert cleaned.context == span.context
    assert (cleaned.start_time, cleaned.end_time) == (span.start_time, span.end_time)
    assert (cleaned.kind, cleaned.name) == (span.kind, "work")
    assert cleaned.status.status_code is StatusCode.ERROR
    assert (cleaned.attributes or {})["http.url"] == "https://host.example/a"
    assert (cleaned.attributes or {})["db.statement"] == "SELECT users"


def test_why_a_span_is_linked_stands_on_the_span_too() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("gentrace")
    context = SpanContext(1, 2, is_remote=True)
    links = [Link(context, {names.LINK: names.LINK_PREVIOUS}), Link(context)]
    for given_links, told in ((links, ("previous_run", "")), (links[1:], None)):
        span = tracer.start_span("work", links=given_links)
        span.end()
        (cleaned,) = clean([span], Resource({}), SCRUBBER)
        assert (cleaned.attributes or {}).get(names.LINKS) == told


@given(st.dictionaries(st.sampled_from(sorted(PRIVATE)), emails))
def test_no_library_attribute_carries_an_email(attributes: dict[str, str]) -> None:
    for name, email in attributes.items():
        query = SCRUBBER.attribute(name, f"https://host.example/?q={email}")
        assert email not in str(query)


@pytest.mark.parametrize("name", sorted(names.ATTRIBUTES))
def test_every_declared_name_passes(name: str) -> None:
    assert SCRUBBER.attribute(name, "v5") == "v5"


def test_the_installations_key_is_made_once_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "spool"
    key = installation_key(folder)
    assert len(key) == 32
    assert installation_key(folder) == key
    (file,) = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_that_cannot_be_kept_is_another_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "spool"
    assert installation_key(folder) != installation_key(folder)


@pytest.mark.parametrize("key", ["db.name", "db.namespace"])
@pytest.mark.parametrize("database", ["/home/x/secret/host.db", "host.db"])
def test_sqlites_folders_stay_here(key: str, database: str) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("sql")
    given = {"db.system": "sqlite", key: database, "db.operation": "SELECT"}
    span = tracer.start_span("SELECT generations", attributes=given)
    span.end()
    (out,) = clean([span], Resource({}), SCRUBBER)
    assert out.name == "SELECT generations"
    assert out.attributes == {**given, key: "host.db"}


@pytest.mark.parametrize(
    "said",
    [
        "(sqlite3.IntegrityError) UNIQUE failed\n[SQL: INSERT …]\n[parameters: ('mine', 1)]",
        "refused: duplicate key (mine)\n(Background on this error at: https://sqlalche.me/e/20/gkpj)",
        'duplicate key value violates "u"\nDETAIL:  Key (name)=(mine) already exists.',
    ],
)
def test_nothing_of_a_database_error_survives(said: str) -> None:
    assert "mine" not in SCRUBBER.text(said)
    assert SCRUBBER.text(said).startswith("<sql:")


def test_a_query_behind_a_path_with_the_prompt_in_it_does_not_survive() -> None:
    shown = SCRUBBER.text("GET https://x.example/a-lighthouse?sig=abcdef failed", ["a-lighthouse"])
    assert "abcdef" not in shown
    assert "lighthouse" not in shown
    assert shown.endswith(" failed")


def exported(name: str, attributes: dict[str, Any], *, error: Exception | None = None) -> str:
    """A library's span, as it would leave."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("a.library")
    span: Any = tracer.start_span(name, attributes=attributes)
    if error is not None:
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
    span.end()
    return json.dumps(encode_spans(clean([span], Resource({}), SCRUBBER)).to_dict())


def test_the_prompt_does_not_survive_in_a_url_or_a_name() -> None:
    context.remember(Run("7", prompts=("a lighthouse of mine",)))
    url = "https://x.example/prompt/a%20lighthouse%20of%20mine.png?token=abc"
    try:
        text = exported(f"GET {url}", {"url.full": url, "http.url": url, names.GENERATION_ID: "7"})
    finally:
        context.forget_all()
    assert "lighthouse" not in text
    assert "mine" not in text.replace("%20mine", "")  # less than nine characters of it may
    assert "https://x.example/prompt/" in text


def test_of_a_librarys_failure_only_the_type_survives() -> None:
    text = exported("SELECT", {}, error=ValueError("mine"))
    assert '"ValueError"' in text
    assert "mine" not in text
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("a.library")
    span: Any = tracer.start_span("SELECT")
    span.set_status(Status(StatusCode.ERROR, "mine"))  # one word, and no type
    span.end()
    assert not clean([span], Resource({}), SCRUBBER)[0].status.description


class Idle(Scrubber):
    """A scrubber that takes nothing out."""

    def text(self, text: str, prompts: Any = ()) -> str:
        return text


def marked(scrubber: Scrubber = SCRUBBER, name: str = "a.step", **given: Any) -> Any:
    """Whether a span that is so given says that its texts are scrubbed."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("gentrace")
    span: Any = tracer.start_span(
        name, links=given.get("links"), attributes=given.get("attributes")
    )
    for event, attributes in given.get("events", {}).items():
        span.add_event(event, attributes)
    if "status" in given:
        span.set_status(Status(StatusCode.ERROR, given["status"]))
    span.end()
    (out,) = clean([span], Resource({}), scrubber)
    return (out.attributes or {}).get(names.SCRUBBED)


LINK = Link(SpanContext(1, 2, is_remote=False))


@pytest.mark.parametrize(
    "given",
    [
        {"status": "refused"},
        {"name": "a name of words"},
        {"name": "雨"},
        {"attributes": {names.JOB_REASON: "no account"}},
        {"attributes": {names.IMPORT_ERRORS: ["sora: No module named sora"]}},
        {"attributes": {"http.url": "https://host.example/a%20b"}},
        {"events": {"generation not retryable": {}}},
        {"events": {"told": {names.JOB_REASON: "no account"}}},
        {"links": [LINK]},
    ],
)
def test_a_span_with_texts_says_that_they_are_scrubbed(given: dict[str, Any]) -> None:
    assert marked(**given) is True
    assert marked(Idle(b"key"), **given) is None


@pytest.mark.parametrize(
    "given",
    [
        {"name": "POST /api/v1/generations"},
        {"name": "enqueue process_generation"},
        {"attributes": {"db.statement": "SELECT id FROM generations WHERE id = 1"}},
        {"attributes": {names.GENERATION_ID: "1", names.PROCESSES: ["a", "b"]}},
        {"attributes": {names.SCRUBBED: True}},
        {"events": {names.EVENT_STATUS: {names.STATUS: "completed"}}},
    ],
)
def test_a_span_without_texts_does_not(given: dict[str, Any]) -> None:
    assert marked(**given) is None
