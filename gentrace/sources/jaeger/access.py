"""How a Jaeger is reached: its address as people give it, headers, TLS and patience."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from gentrace.core import settings
from gentrace.core.errors import SourceError, UsageError

QUERY_PORT = 16686
TIMEOUT_S = 30.0
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OF_THE_PAGE = re.compile(r"/(search|trace/[^/]*|api(/.*)?)?/*$")


@dataclass(frozen=True, slots=True)
class Access:
    """What a request to Jaeger needs beside its address.

    Attributes:
        headers: sent with each request, such as an Authorization.
        ca_file: certificates to trust instead of the system's and SSL_CERT_FILE's.
        insecure: trust any certificate.
        timeout_s: how long Jaeger may be silent.
    """

    headers: Sequence[tuple[str, str]] = ()
    ca_file: str = ""
    insecure: bool = False
    timeout_s: float = TIMEOUT_S


def access(
    env: Mapping[str, str], headers: Sequence[str] = (), ca_file: str = "", insecure: bool = False
) -> Access:
    """What options and environment say.

    Args:
        env: GENTRACE_SOURCE_HEADERS and GENTRACE_SOURCE_TIMEOUT are read from it.
        headers: ``NAME=VALUE`` each; they win over the variable's.

    Raises:
        UsageError: one of them cannot be meant. Its value is not quoted: it may be a secret.
    """
    given: dict[str, tuple[str, str]] = {}
    listed = [part for part in settings.source_headers(env).split(",") if part.strip()]
    for name, value in (
        *(_header("GENTRACE_SOURCE_HEADERS", part, decode=True) for part in listed),
        *(_header("--header", text) for text in headers),
    ):
        given[name.lower()] = (name, value)
    asked = settings.source_timeout(env)
    try:
        timeout_s = float(asked or TIMEOUT_S)
    except ValueError:
        timeout_s = 0.0
    if not 0 < timeout_s < 86_400:
        raise UsageError(f"GENTRACE_SOURCE_TIMEOUT={asked!r} is no number of seconds above 0")
    return Access(tuple(given.values()), ca_file, insecure, timeout_s)


def _header(origin: str, text: str, decode: bool = False) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    value = unquote(value) if decode else value
    if not equals or not _NAME.fullmatch(name) or not value.isprintable() or not value.isascii():
        raise UsageError(f"{origin}: NAME=VALUE was expected, such as 'Authorization=Bearer TOKEN'")
    return name, value


def base_url(given: str, origin: str) -> str:
    """The address below which Jaeger's API and page are, with its base path.

    Of an address copied from Jaeger's page what belongs to the page is left out.

    Raises:
        SourceError: it is no address of HTTP.
    """
    given = given.strip()
    try:
        parts = urlsplit("" if any(c.isspace() for c in given) else given)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable:
        raise SourceError(
            f"{origin} {given}: an address such as http://localhost:{QUERY_PORT} was expected "
            "(Jaeger's query service), or a file or folder of OTLP JSON lines"
        )
    path = _OF_THE_PAGE.sub("", parts.path)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
