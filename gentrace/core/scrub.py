"""What must not leave the process, taken out of what does: one allow-list and one text scrubber.

Attributes pass by name (:func:`allowed`); texts lose e-mails, tokens, keys, URL queries and the
generation's own prompt, each becoming ``<kind:length:hash8>`` with a keyed hash, so that equal
secrets still look equal.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping

from gentrace.core import names

# Names of the OpenTelemetry conventions (old and new) that hold no private text.
_CONVENTIONS = frozenset(
    {
        # HTTP, old and new
        *("http.method", "http.request.method", "http.request.method_original", "http.route"),
        *("http.status_code", "http.response.status_code", "http.request.resend_count"),
        *("http.scheme", "url.scheme", "http.flavor", "http.server_name", "url.template"),
        *("network.protocol.version", "network.protocol.name", "network.peer.port"),
        *("server.address", "server.port", "net.host.name", "net.host.port"),
        *("net.peer.name", "net.peer.port", "net.transport", "error.type"),
        # the machine
        *("host.name", "host.id"),
        # databases, old and new
        *("db.system", "db.system.name", "db.name", "db.namespace", "db.operation"),
        *("db.operation.name", "db.collection.name", "db.sql.table", "db.response.status_code"),
        # messaging
        *("messaging.system", "messaging.destination.name", "messaging.message.id"),
        *("messaging.operation.name", "messaging.operation.type"),
        # exceptions and code
        *("exception.type", "exception.escaped"),
        *("code.function.name", "code.file.path", "code.line.number"),
    }
)
# Values of these are URLs or paths: kept without their query.
URLS = frozenset({"http.url", "url.full", "http.target", "url.path"})
# Values of these are SQL: only the operation and the table are kept.
_SQL = {"db.statement": "db.statement", "db.query.text": "db.query.text"}
_OWN_PREFIXES = ("generation.", "gentrace.")
_EVENT_TEXT = {"exception.message", "exception.stacktrace"}

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_URL_QUERY = re.compile(r"((?:https?|wss?)://[^\s?#\"'<>]+)[?#][^\s\"'<>]+")
_URL_USER = re.compile(r"(?<![a-z0-9+.-])((?:[a-z][a-z0-9+.-]*)://)[^\s/@\"'<>]+@", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?")
_BEARER = re.compile(r"\b(Bearer|Basic|Token)\s+[\w\-.=+/~]{6,}", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?i)(?<![<\w])((?:api[_-]?key|access[_-]?key|secret|token|password|passwd|pwd|authorization|cookie|"
    r"session(?:[_-]?id)?|jwt)[\"']?\s*[=:]\s*[\"']?)(?!<)([^\s\"',;&)}\]]{4,})"
)
_LONG_KEY = re.compile(r"\b(?:sk|pk|ghp|xox[abp]|AKIA)[-_A-Za-z0-9]{12,}\b|\b[A-Fa-f0-9]{40,}\b")
_SQL_TABLE = re.compile(
    r"\b(?:from|into|update|join|table)\s+([\"`\[]?[\w.]+[\"`\]]?)", re.IGNORECASE
)
# What an e-mail, a URL, a token or an assignment has, and an id or a word has not.
_SIGNS = ("@", "://", "eyJ", "=", " ")
# What a database error ends with: the statement, its parameters, SQLAlchemy's link, the row.
_SQL_SIGNS = ("[SQL:", "[parameters:", "(Background on this error at:", "DETAIL:  Key (")
_MAX_TEXT = 400
_MAX_INPUT = 2_000
_MAX_PROMPT = 20_000
_SHORT = 200
_PROMPT_PART = 8
_TRIAL_PROMPT = "a canary that sings"
_TRIAL = f"{_TRIAL_PROMPT} to someone@example.org"


class Scrubber:
    """Takes private text out, with the installation's key.

    Args:
        key: the HMAC key, or what gives it when it is first needed; equal texts give equal
            marks under one key.
        events: the fields that may stand on an event, by its name.
    """

    def __init__(
        self,
        key: bytes | Callable[[], bytes],
        events: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._key, self._events = key, events or {}
        self._works: bool | None = None

    def works(self) -> bool:
        """Whether it takes out what it should, tried once: only then it may vouch for texts."""
        if self._works is None:
            left = self.text(_TRIAL, [_TRIAL_PROMPT])
            self._works = _TRIAL_PROMPT not in left and "@" not in left
        return self._works

    def mark(self, kind: str, text: str) -> str:
        """``<kind:length:hash8>`` for a text that must not be shown."""
        if not isinstance(self._key, bytes):
            self._key = self._key()
        digest = hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256)
        return f"<{kind}:{len(text)}:{digest.hexdigest()[:8]}>"

    def text(self, text: str, prompts: Iterable[str] = ()) -> str:
        """A message without e-mails, secrets, URL queries and parts of the prompts."""
        if any(sign in text for sign in _SQL_SIGNS):
            return self.mark("sql", text)  # the error's own words hold values, too
        text = text[:_MAX_INPUT]
        text = _URL_USER.sub(lambda m: m.group(1) + self.mark("user", m.group()) + "@", text)
        text = _URL_QUERY.sub(  # while its path is whole: the prompt may be in that
            lambda m: m.group(1) + "?" + self.mark("query", m.group()[len(m.group(1)) :]), text
        )
        text = self.without_prompts(text, prompts)
        text = _JWT.sub(lambda m: self.mark("token", m.group()), text)
        text = _BEARER.sub(lambda m: f"{m.group(1)} {self.mark('token', m.group())}", text)
        text = _ASSIGNED.sub(lambda m: m.group(1) + self.mark("secret", m.group(2)), text)
        text = _EMAIL.sub(lambda m: self.mark("email", m.group()), text)
        text = _LONG_KEY.sub(lambda m: self.mark("key", m.group()), text)
        return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"

    def without_prompts(self, text: str, prompts: Iterable[str]) -> str:
        """A text without the parts of the prompts in it; nothing else is taken out."""
        for prompt in prompts:
            text = self._without_prompt(text, prompt[:_MAX_PROMPT])
        return text

    def _without_prompt(self, text: str, prompt: str) -> str:
        """Each stretch of the text that the prompt holds too, if longer than eight characters."""
        size = _PROMPT_PART + 1
        lowered, known = text.lower(), prompt.lower()
        if len(prompt) < size or len(lowered) != len(text):
            return text if len(prompt) < size else self.mark("message", text)
        # A short text is looked up in the prompt itself: a long prompt has many parts.
        parts: str | set[str] = known
        if len(text) > _SHORT:
            parts = {known[i : i + size] for i in range(len(known) - size + 1)}
        cleaned: list[str] = []
        done = position = 0
        while position <= len(text) - size:
            if lowered[position : position + size] not in parts:
                position += 1
                continue
            end = position + size
            while end < len(text) and lowered[end - size + 1 : end + 1] in parts:
                end += 1
            cleaned += [text[done:position], self.mark("prompt", text[position:end])]
            done = position = end
        return "".join([*cleaned, text[done:]])

    def on_event(self, event: str, name: str, value: object) -> object | None:
        """As :meth:`attribute`, for an attribute of an event: the host's own have their fields."""
        if name not in self._events.get(event, ()):
            return self.attribute(name, value)
        return self.text(value) if isinstance(value, str) else value

    def of_run(self, name: str, value: object, prompts: Iterable[str]) -> object | None:
        """As :meth:`attribute`, of a run whose prompts are known."""
        kept = self.attribute(name, value)
        return self.without_prompts(kept, prompts) if isinstance(kept, str) else kept

    def attribute(self, name: str, value: object) -> object | None:
        """The value to export under that name, or None when it must stay.

        Own names pass; conventions pass by name; URLs lose their query and SQL its text.
        """
        if name in _CONVENTIONS or name in names.ATTRIBUTES:
            suspicious = isinstance(value, str) and any(sign in value for sign in _SIGNS)
            return self.text(value) if suspicious and isinstance(value, str) else value
        if name.startswith(_OWN_PREFIXES):
            return None
        if name in URLS and isinstance(value, str):
            return self.text(without_query(value))
        if name in _SQL and isinstance(value, str):
            return sql_outline(value)
        if name in _EVENT_TEXT:
            return None
        return None


def without_query(url: str) -> str:
    """A URL or path without user, query and fragment."""
    url = re.split(r"[?#]", url, maxsplit=1)[0]
    return _URL_USER.sub(r"\1", url)


def sql_outline(statement: str) -> str:
    """``SELECT generations``: the operation and the first table of a statement, nothing else."""
    words = statement.split(None, 1)
    operation = re.sub(r"\W", "", words[0]).upper()[:16] if words else ""
    table = _SQL_TABLE.search(statement)
    return f"{operation} {table.group(1).strip(chr(34) + '`[]')}" if table else operation
