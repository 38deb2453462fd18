"""Secrets that are known by what stands beside them: a name, a header, a URL, an @."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A word that ends in one of these names a secret. Only the end is looked for, so that a long
# word costs no more than a short one. Each begins with a letter as it is, for the same reason as
# in keys.py; the short ones are whole words.
_KEYS = "|".join(
    f"{word}[-_. ]?key"
    for word in (
        *("api", "access", "secret", "private", "priv", "sign", "signing", "encryption"),
        *("encrypt", "master", "account", "auth", "client", "license", "subscription"),
        *("shared", "storage", "service", "ssh", "deploy", "app", "db", "database", "session"),
        *("jwt", "hmac", "webhook", "function", "functions", "host", "sas", "consumer", "bot"),
        *("user", "admin"),
    )
)
_WHOLE = "|".join(
    f"{word}(?<![a-z0-9]{'.' * len(word)})" for word in ("pass", "sid", "sig", "otp", "auth", "pw")
)
_NAMES = (
    rf"(?:{_KEYS}|key[-_]?pass|key[-_]?id|key[-_]?pair[-_]?id|secret|token|password|passwd|"
    r"passphrase|passcode|passwort|pwd|(?:db|database|user|admin|root|mysql|pg|smtp|ftp|my|api)pass|"
    r"apipw|"
    r"credentials?|session(?:[-_]?id)?|sess(?:id)?|jwt|signature|hmac|csrf|xsrf|contrase[nñ]a|"
    rf"x-amz-[a-z-]{{1,40}}|x-goog-[a-z-]{{1,40}}|oauth|{_WHOLE})"
)
_STEMS = (
    *("key", "secret", "token", "pass", "pwd", "cred", "sess", "jwt", "sig", "hmac", "srf"),
    *("sid", "otp", "auth", "pw", "x-amz", "x-goog", "contrase"),
)
_QUOTED = r'"(?:[^"\\\ue000]|\\.)+|' r"'(?:[^'\\\ue000]|\\.)+"
# A quote inside a value is one of its characters unless something of the text around it follows.
_BARE = r"(?![\"'])(?:[^\s\"'<>\ue000]|[\"'](?!\s|[,;:}\])&>]|\Z)|<(?!/))+"
_BETWEEN = (
    r"(?:[\"'\]]{0,2}\s{0,40}(?:[=!]==?|:=|=>|[=:])\s{0,40}|[\"']\s{0,3},\s{0,3}(?=b?[\"'])|"
    r"\s{1,3}(?=[\"']))b?"
)
_ASSIGNED = re.compile(rf"{_NAMES}{_BETWEEN}({_QUOTED}|{_BARE})")
# A key of whatever, where it is as long as a secret is.
_LONG = re.compile(
    r"(?:key|pwd?|pass|password|token)[\"'\]]{0,2}\s{0,40}(?:=>|:=|::|[=:]|\s)\s{0,40}b?([\"']?[\w+/=-]{24,})"
)
_AWS = re.compile(
    r"aws.{0,20}?(?:key|password|pass|pwd?|token).{0,20}?[\"']([0-9a-z/+]{40})(?=[\"'])"
)
_SOAP = re.compile(r"soap/v\d.{0,3}?/([a-z0-9]{40,})")  # SoftLayer's key is in the path
_OPTION = re.compile(rf"--[a-z-]{{0,40}}?{_NAMES}\s{{1,3}}([^\s\ue000-]{_BARE})")
_ELEMENT = re.compile(rf"{_NAMES}>([^<\ue000]+)<")
# The whole line: a cookie is followed by others, and a scheme by its parameters.
_HEADER = re.compile(
    r"(?:cookies?|authorization)[\"'\]]{0,2}\s{0,40}(?:=>|[=:]|[\"']\s{0,3},)\s{0,40}b?"
    rf"({_QUOTED}|[^\s\"'\ue000][^\r\n\ue000]*)"
)
_HEADERS = ("cookie", "authorization")
_LEAST = 3
_AFTER = ".,;:)]}"  # of the sentence around a value

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+[@＠][\w-]+(?:\.[\w-]+)+")
_URL_QUERY = re.compile(r"://[^\s?#\"'<>\ue000]+[?#]([^\s\"'<>\ue000]+)")
_QUERY = re.compile(r"\?([\w.%~\[\]$-]{1,80}=[^\s\"'<>\ue000]*)")
_URL_USER = re.compile(
    r"://(?:([^\s/?#\"'\ue000]+)@|([^\s/@:\ue000]*:(?!\d{1,5}(?:/|\Z))[^\s?#\"'\ue000]+)@)"
)
_NAME_ENDS = re.compile(rf"(?:{_NAMES}|cookies?|authorization)\Z")


def named(lowered: str) -> Iterator[tuple[int, int, str]]:
    """Where the values of named secrets stand in a text in small letters: start, end and kind."""
    if any(header in lowered for header in _HEADERS):
        yield from _values(_HEADER, lowered)
    if "soap/" in lowered:
        yield from _values(_SOAP, lowered)
    if not any(stem in lowered for stem in _STEMS):
        return
    yield from _values(_ASSIGNED, lowered)
    yield from _values(_LONG, lowered)
    if "aws" in lowered:
        yield from _values(_AWS, lowered)
    if "--" in lowered:
        yield from _values(_OPTION, lowered)
    if "</" in lowered:
        yield from _values(_ELEMENT, lowered)


def addresses(text: str) -> Iterator[tuple[int, int, str]]:
    """Where addresses stand, queries of URLs, and who logs in to one."""
    if "@" in text or "＠" in text:
        for found in _EMAIL.finditer(text):
            yield *found.span(), "email"
    if "?" in text:
        for found in _QUERY.finditer(text):
            yield *found.span(1), "query"
    if "://" in text:
        for found in _URL_QUERY.finditer(text):
            yield *found.span(1), "query"
        for found in _URL_USER.finditer(text):
            yield *found.span(found.lastindex or 0), "user"


def is_secret(name: str) -> bool:
    """Whether what has that name is a secret, whatever it looks like."""
    return _NAME_ENDS.search(name.lower()) is not None


def _values(pattern: re.Pattern[str], lowered: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    while found := pattern.search(lowered, at):
        start, end = found.span(1)
        at = max(end, at + 1)
        if lowered[start] in "\"'" and pattern is not _ELEMENT:
            start += 1
            if end > start:
                yield start, end, "secret"
            continue
        while end > start and lowered[end - 1] in _AFTER:
            end -= 1
        if end - start >= _LEAST:
            yield start, end, "secret"
