"""The allow-list: which attributes may leave at all, and what is known of their values."""

from __future__ import annotations

import re

from gentrace.core import names

# Names of the OpenTelemetry conventions (old and new) that hold no private text.
CONVENTIONS = frozenset(
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
SQL = frozenset({"db.statement", "db.query.text"})
OWN_PREFIXES = ("generation.", "gentrace.")

# Values of these are long hexadecimal numbers, and are no keys.
DIGESTS = frozenset({names.GENERATION_HASH, names.CODE_VERSION})
DIGEST = re.compile(r"[0-9a-f]{1,128}(?:\+dirty)?")
# Values of these are modules and functions of the profile's, or packages: `a.token:Token.get` and
# `PyJWT==2.8.0` name no secret.
_TARGETS = (names.TARGETS_PATCHED, names.TARGETS_LATE, names.TARGETS_MISSING)
DECLARED = {
    **dict.fromkeys(_TARGETS, re.compile(r"[a-z_][a-z_.0-9]{0,120}:[A-Za-z_][A-Za-z_.]{0,80}")),
    names.PACKAGES: re.compile(r"[\w.-]{1,80}==\d[\d.]{0,20}(?:[a-z]{1,4}\d{1,4})?"),
}
# Values of these are words of gentrace's, a library's or the host's code, few and often used: one
# that came with another prompt is no part of this one.
VOCABULARY = frozenset(
    {
        *(names.OUTCOME, names.STAGE, names.DEDUP_RESULT, names.CACHE_RESULT, names.LINK),
        *(names.LINKS, names.INCOMPLETE, names.ENQUEUE_OUTCOME, names.JOB_OUTCOME, names.ROLE),
        *(names.OPERATION, names.PROVIDER, names.STATUS, names.STATUS_PREVIOUS),
        *(names.PROVIDER_STATUS, names.RETURNED_STATUS, names.JOB_STATUS, names.JOB_REASON),
        *(names.WAIT_REASON, names.ACCOUNT_CALL, names.CACHE_OPERATION, names.CALLER),
        *(names.EXECUTABLE, names.WORKING_DIRECTORY, names.PREFIX, names.PACKAGE_FILE),
        *(names.CODE_STALE, names.CODE_FUNCTION, "code.file.path", names.MESSAGING_SYSTEM),
        *(names.MESSAGING_DESTINATION, names.MESSAGING_OPERATION_NAME),
        *(names.MESSAGING_OPERATION_TYPE, "http.route", "http.server_name", "server.address"),
        *("net.host.name", "net.peer.name", "db.system", "db.system.name", "db.name"),
        "db.namespace",
    }
)
# gentrace's own, as long as a part of a prompt may be.
OWN_WORDS = (
    *(names.COMPLETED, names.CANCELLED, names.SKIPPED_FAILED, names.WORKER_DIED, "submitted"),
    *(names.LINK_RETURNED, names.LINK_PREVIOUS, names.LINK_SUPERSEDED, names.PROCESS_GENERATION),
    *("succeeded", "interrupted", "not_found", "max_tries", "duplicate", "postgresql"),
)
WORD = re.compile(r"[\w.:/{}-]{1,100}")


def without_query(url: str) -> str:
    """A URL or path without query and fragment."""
    return re.split(r"[?#]", url, maxsplit=1)[0]
