"""Secrets as they stand in texts, and the forms in which a text may come: tables for tests."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, quote_plus

VALUE = "Zq7hunterwolf92"  # has no shape: only its name tells that it is a secret
OTHER = "Second8cookie"
_NAMES = (
    *("refresh_token", "access_token", "client_secret", "id_token", "auth_token", "db_password"),
    *("PGPASSWORD", "x-api-key", "apiKey", "secret_key", "session_id", "sessionid", "JSESSIONID"),
    *("AWS_SECRET_ACCESS_KEY", "private-key", "passwd", "pwd", "X-Amz-Signature", "sig"),
    *("X-Amz-Security-Token", "X-Goog-Signature", "csrftoken", "jwt", "credential", "hmac"),
    *("passphrase", "accountKey", "SharedAccessKey", "signature", "DB_PASS", "MYSQL_PWD"),
)
_SPELLINGS = {
    "assigned": "{}={} in it",
    "spaced": "{} = {}",
    "yaml": "a: 1\n{}: {}\nb: 2",
    "json": '{{"a": 1, "{}": "{}"}}',
    "compact json": '{{"a":1,"{}":"{}","b":2}}',
    "repr": "{{'a': 1, '{}': '{}'}}",
    "list of headers": "[(b'{}', b'{}')]",
    "query": "see /path/of?page=2&{}={}&x=1",
    "no query": "see /path/of&{}={}&x=1",
    "matrix": "/path;{}={}?x=1",
    "url": "https://host.example/path?{}={}",
    "xml": "<{0}>{1}</{0}>",
}
NAMED = {
    f"{name} {spelling}": (text.format(name, VALUE), (VALUE,))
    for name in _NAMES
    for spelling, text in _SPELLINGS.items()
    if spelling != "xml" or not name.startswith(("X-", "x-"))
}
KEYS = {
    "google": "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
    "github": "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "github fine": "github_pat_11ABCDEFG0123456789_abcdefghijkl",
    "gitlab": "glpat-ABCdefGHIjklMNOpqrST",
    "hugging face": "hf_abcdefGHIJKLmnopqrSTUVwxyz01234567",
    "npm": "npm_abcdefGHIJKLmnopqrSTUVwxyz0123456789",
    "slack": "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
    "stripe": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "openai": "sk-proj-AbCdEfGhIjKlMnOpQrStUvWx",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "aws session": "ASIAIOSFODNN7EXAMPLE",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "sendgrid": "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",
    "twilio": "AC0123456789abcdef0123456789abcdef",
    "mailchimp": "0123456789abcdef0123456789abcdef-us12",
    "telegram": "bot123456:AAhdqTcvCH1vGWJxfSe",
    "telegram token": "1234567890:AAhdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1",
    "replicate": "r8_Hw0abcdefghijklmnopqrstuvwxyz1234567",
    "groq": "gsk_abcdefghijklmnopqrstuvwxyz0123456789",
    "slack webhook": "hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "discord webhook": "discord.com/api/webhooks/123456789012345678/abcDEF-ghi_JKL0123456789",
    "azure storage": "A" * 40 + "b/9+" * 11 + "Zz==",
}
IN_WORDS = {
    **NAMED,
    "e-mail": ("sent to alice.liddell@wonder.example today", ("alice.liddell", "wonder.example")),
    "bearer": (f"sent Bearer {VALUE} to it", (VALUE,)),
    "header": (f"Authorization: Basic {VALUE}\r\nHost: x", (VALUE,)),
    "digest": (f'Authorization: Digest username="me", response="{VALUE}"', (VALUE,)),
    "second cookie": (f"Cookie: a=1; tracking={OTHER}; b=2", (OTHER,)),
    "cookie set": (f"set-cookie: sid={VALUE}; Path=/; other={OTHER}", (VALUE, OTHER)),
    "cookie of a dict": (f"{{'cookie': 'a=1; tracking={OTHER}'}}", (OTHER,)),
    "comma": (f"password={VALUE},{OTHER}", (VALUE, OTHER)),
    "quoted blank": (f'password="{VALUE} {OTHER}" host=x', (VALUE, OTHER)),
    "quoted comma": (f"password='{VALUE}, {OTHER}'", (VALUE, OTHER)),
    "semicolon": (f"password={VALUE};{OTHER}", (VALUE, OTHER)),
    "option": (f"ran psql --password {VALUE} -h x", (VALUE,)),
    "user": (f"postgresql://me:{VALUE}@db.example/x", (VALUE,)),
    "user slash": (f"postgresql://me:{VALUE}/{OTHER}@db.example/x", (VALUE, OTHER)),
    "user at": (f"postgresql://me:{VALUE}@{OTHER}@db.example/x", (VALUE, OTHER)),
    "fragment": (f"https://host.example/path#state={VALUE}", (VALUE,)),
    "pem": (
        f"-----BEGIN RSA PRIVATE KEY-----\n{VALUE}\n{OTHER}\n-----END RSA PRIVATE KEY----- end",
        (VALUE, OTHER),
    ),
    "pem cut off": (f"-----BEGIN PRIVATE KEY-----\n{VALUE}\n{OTHER}", (VALUE, OTHER)),
    **{
        f"key of {name}": (f"the key {key} is not known", (key[-12:],))
        for name, key in KEYS.items()
    },
}


def as_json(text: str) -> str:
    """What stands between the quotes of a JSON string, with escapes for all but ASCII."""
    return json.dumps(text)[1:-1]


def all_escaped(text: str) -> str:
    """JSON may escape any character."""
    return "".join(f"\\u{ord(c):04x}" if c in "@=:/& ;," else c for c in text)


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "quoted": lambda text: quote(text, safe=""),
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""),
    "quoted, slashes kept": quote,
    "plus": quote_plus,
    "plus twice": lambda text: quote_plus(quote_plus(text)),
    "json": as_json,
    "json twice": lambda text: as_json(as_json(text)),
    "json escaped": all_escaped,
    "json of quoted": lambda text: as_json(quote(text)),
}
# What only a prompt may be spelt like and still be it.
SPELLINGS: dict[str, Callable[[str], str]] = {
    **FORMS,
    "capitals": str.upper,
    "dashes": lambda text: text.replace(" ", "-"),
    "underscores": lambda text: text.replace(" ", "_"),
    "no-break": lambda text: text.replace(" ", "\u00a0"),
    "lines": lambda text: text.replace(" ", "\n"),
    "blanks": lambda text: text.replace(" ", "   "),
    "nothing between": lambda text: text.replace(" ", ""),
    "capitals between": lambda text: text.title().replace(" ", ""),
    "nfd": lambda text: unicodedata.normalize("NFD", text),
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
    "nfkd quoted": lambda text: quote(unicodedata.normalize("NFKD", text)),
    "quoted no-break": lambda text: quote(text.replace(" ", "\u00a0")),
}
