"""Secrets that are known by their shape: keys of well-known services, tokens, key blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Each begins with a letter as it is, so that `re` passes over all others at once. What could be
# the end of a word (`task-0123…`) looks back to where its word begins.
_BY_SERVICE = (
    *(r"AIza[\w-]{16,}", r"ya29\.[\w-]{10,}", r"GOCSPX-[\w-]{16,}"),  # Google
    r"A(?:KIA|SIA|GPA|IDA|ROA|IPA|NPA|NVA|BIA|CCA)(?<![A-Za-z0-9]....)[A-Z0-9]{12,}",  # AWS
    r"A3T[A-Z0-9](?<![A-Za-z0-9]....)[A-Z0-9]{16}",
    r"AKC(?<![A-Za-z0-9]...)[a-zA-Z0-9]{10,}",  # Artifactory
    r"AP(?<![A-Za-z0-9]..)(?:[0-9]|[A-F](?=[A-Za-z]{0,80}[0-9]))[a-zA-Z0-9]{8,}",
    *(r"gh[oprsu]_[A-Za-z0-9_]{12,}", r"github_pat_\w{12,}"),
    r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[\w.-]{12,}",  # GitLab
    *(r"GR1348941[\w-]{20}", r"rubygems_[0-9a-f]{20,}", r"pypi-[A-Za-z0-9][\w-]{16,}"),
    r"npm_(?<![A-Za-z0-9]....)[A-Za-z0-9]{16,}",
    r"hf_(?<![A-Za-z0-9]...)[A-Za-z0-9]{16,}",  # Hugging Face
    *(r"xox[a-z](?:\.xox[a-z])?-[\w%-]{6,}", r"xapp-\d-[\w-]{10,}"),  # Slack
    *(rf"{c}k[-_](?<![A-Za-z0-9]...)(?:live|test|prod)[-_][A-Za-z0-9]{{8,}}" for c in "srp"),
    *(r"sk[-_](?<![A-Za-z0-9]...)[-\w]{12,}", r"whsec_[A-Za-z0-9+/=]{12,}"),  # Stripe, OpenAI
    r"pk[-_](?<![A-Za-z0-9]...)(?=[-A-Za-z_]{0,80}\d)[-\w]{12,}",
    *(r"sq0[a-z]{3}-[\w\\-]{16,}", r"EAAA[\w-]{40,}"),  # Square
    r"SG\.[\w-]{8,}\.[\w-]{16,}",  # SendGrid
    r"AC(?<![A-Za-z0-9]..)[a-z0-9]{32}(?![A-Za-z0-9])",  # Twilio
    r"SK(?<![A-Za-z0-9]..)[a-z0-9]{32}(?![A-Za-z0-9])",
    r"key-(?<![A-Za-z0-9]....)[0-9a-f]{32}",  # Mailgun
    *(r"gsk_[A-Za-z0-9]{16,}", r"xai-[A-Za-z0-9]{16,}", r"pplx-[a-z0-9]{20,}"),  # of models
    *(r"r8_(?<![A-Za-z0-9]...)[A-Za-z0-9]{20,}", r"nvapi-[\w-]{16,}", r"tvly-[\w-]{16,}"),
    *(r"lsv2_[a-z]{2}_\w{16,}", r"dapi(?<![A-Za-z0-9]....)[0-9a-f]{32}"),
    *(r"dop_v1_[0-9a-f]{20,}", r"doo_v1_[0-9a-f]{20,}", r"dckr_pat_[\w-]{16,}"),
    *(r"hvs\.[\w-]{16,}", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}", r"lin_api_\w{16,}"),
    *(r"ntn_\w{20,}", r"figd_[\w-]{20,}", r"ph[cx]_\w{20,}", r"sntry[su]_[\w+/=-]{20,}"),
    *(r"glsa_\w{20,}", r"NRAK-[A-Z0-9]{16,}", r"PMAK-[\w-]{20,}", r"CFPAT-[\w-]{20,}"),
    *(r"ATATT3[\w=-]{20,}", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}", r"tskey-[\w-]{16,}"),
    *(r"eyJ[\w=-]+\.[\w=-]+[\w.+/=-]*", r"eyJ[\w-]{14,}"),  # JWT
    r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]{6,}",
    r"discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d+/[\w-]{8,}",
    r"webhook\.office\.com/[^\s\"'<>\ue000]{8,}",
    r"outlook\.office\.com/webhook/[^\s\"'<>\ue000]{8,}",
    r"bot(?<![A-Za-z0-9]...)\d{5,}:[\w-]{6,}",  # Telegram, in a path
    r"PuTTY-User-Key-File-\d[\s\S]*",
)


def _by_letter(patterns: Iterable[str]) -> str:
    """The alternatives by their first letter: at each place only one letter's are tried."""
    found: dict[str, list[str]] = {}
    for pattern in patterns:
        found.setdefault(pattern[0], []).append(pattern[1:])
    return "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in found.items())


_SHAPES = re.compile(_by_letter(_BY_SERVICE))
_LONG_WORD, _LONGER_WORD = re.compile(r"\S{11}"), re.compile(r"\S{40}")
_BLOCK = re.compile(r"(?:-+ ?)?BEGIN (?:\w+ ){0,3}PRIVATE KEY[\s\S]*?(?:-+END [\w ]+-+|\Z)")
# Of no letter of their own: looked for only where a sign of them stands.
_BY_SIGN = (
    (":", re.compile(r"(?<![A-Za-z0-9])\d{8,12}:[\w-]{30,}")),  # Telegram
    ("-us", re.compile(r"(?<![A-Za-z0-9])[0-9a-z]{32}-us\d{1,2}")),  # Mailchimp
    ("Q~", re.compile(r"(?<![\w~.-])[\w.~-]{3}\dQ~[\w.~-]{20,}")),  # Azure
    ("==", re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{80,}==")),  # Azure, storage
    (
        ".",
        re.compile(r"(?<![\w-])[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27}"),  # Discord
    ),
)
_BEARER = re.compile(r"(?<![A-Za-z0-9])(?:bearer|basic|token|digest|apikey)[ \t]+([\w\-.=+/~]{6,})")
_HEX = re.compile(r"(?<![A-Za-z0-9_])[A-Fa-f0-9]{40,}(?![A-Za-z0-9_])")


def keys(text: str) -> Iterator[tuple[int, int, str]]:
    """Where keys stand that are known wherever they are: start, end and kind."""
    if "eyJ" not in text and not _LONG_WORD.search(text):
        return
    for found in _SHAPES.finditer(text):
        yield *found.span(), "token" if found.group().startswith("eyJ") else "key"
    for sign, pattern in _BY_SIGN:
        if sign in text:
            for found in pattern.finditer(text):
                yield *found.span(), "key"


def keys_in_words(text: str, lowered: str) -> Iterator[tuple[int, int, str]]:
    """... and what only among words is a key: a block of PEM, what follows ``Bearer``."""
    if "PRIVATE KEY" in text:
        for found in _BLOCK.finditer(text):
            yield *found.span(), "key"
    for found in _BEARER.finditer(lowered):
        yield *found.span(1), "token"


def digests(text: str) -> Iterator[tuple[int, int, str]]:
    """Long hexadecimal numbers: among words they may be keys, alone they are ids."""
    for found in _HEX.finditer(text) if _LONGER_WORD.search(text) else ():
        yield *found.span(), "key"
