"""Jaeger's query API, whichever of its versions a Jaeger has: services, searches, one trace.

| Jaeger | search by time | search by attribute | one trace |
|---|---|---|---|
| without v3 | v1 | v1 | v1 |
| 1.35 to 2.18 | v3 | v1, then each trace by v3 | v3 |
| 2.19 and newer, where v1 goes | v3 | v3 (`query.attributes`) | v3 |

v3 comes first: it has nanoseconds and OTLP's own types. What a Jaeger can is asked, not read off a
version. Source: `http_gateway.go`, `query_parser.go` and `http_handler.go` of Jaeger 1.62, 2.13
and 2.20.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any
from urllib.parse import quote

from gentrace.core.errors import SourceError
from gentrace.sources.jaeger import decoded, own_json
from gentrace.sources.jaeger.bodies import as_list, as_object
from gentrace.sources.jaeger.client import DAMAGED, Answer, Client
from gentrace.sources.jaeger.decoded import Decoded
from gentrace.sources.jaeger.query import Query, v1, v3

V1, V3 = "/api", "/api/v3"
_NOT_AN_OBJECT = "?"


class Api:
    """One Jaeger.

    Raises:
        SourceError: from every method, where there is no whole answer of a Jaeger.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    @cached_property
    def services(self) -> list[str]:
        """Every service that Jaeger knows, sorted."""
        answer, key = (self._of_v3, "services") if self.has_v3 else (self._of_v1, "data")
        (first,) = answer.objects or [{}]
        return sorted(str(name) for name in as_list(as_object(first).get(key)))

    @cached_property
    def has_v3(self) -> bool:
        """Whether there is an API v3; a Jaeger has it or v1, or both."""
        if _holds(self._of_v3, "services"):
            return True
        if self._of_v3.kind == DAMAGED:
            raise self._client.strange(self._of_v3, f"{V3}/services")
        if _holds(self._of_v1, "data"):
            return False
        strange = self._of_v3 if self._of_v3.status == 200 else self._of_v1
        asked = f"{V3}/services" if strange is self._of_v3 else f"{V1}/services"
        if strange.status == 404:
            raise SourceError(
                f"{self._client.shown} has no Jaeger's API (HTTP 404 to {asked}). Give the address "
                "of its query service (port 16686; 4317 and 4318 only take spans), with its base "
                "path if it has one"
            )
        raise self._client.strange(strange, asked)

    @cached_property
    def filters(self) -> str:
        """Which API searches by attribute: ``v3``, ``v1``, or none where it is empty.

        A v3 that does not know `query.attributes` ignores it. One that does refuses nonsense.
        """
        if self.has_v3:
            nonsense = {**v3(Query("-", 0, 1_000_000, 1)), "query.attributes": _NOT_AN_OBJECT}
            answer = self._client.get(f"{V3}/traces", nonsense)
            if answer.status == 400 and "query.attributes" in answer.text:
                return "v3"
        return "v1" if _holds(self._of_v1, "data") else ""

    def operations(self, service: str) -> set[str]:
        """The names of the service's spans."""
        if self.has_v3:
            answer = self._client.get(f"{V3}/operations", {"service": service})
            listed = self._listed(answer, "operations", f"{V3}/operations")
        else:
            answer = self._client.get(f"{V1}/services/{quote(service, safe='')}/operations")
            listed = self._listed(answer, "data", f"{V1}/services/…/operations")
        return {str(as_object(each).get("name", each)) for each in listed}

    def search(self, query: Query, seen: dict[str, Decoded] | None = None) -> Decoded:
        """The spans of the traces that Jaeger finds, whole as far as its storage gives them whole.

        The limit is made smaller where the storage takes none so big.

        Args:
            seen: traces that were asked for by their ids and need not be again; filled here.
        """
        if not query.tags and self.has_v3:
            return self._search_v3(query)
        if self.filters == "v3":
            return self._search_v3(query)
        return self._search_v1(query, {} if seen is None else seen)

    def trace(self, trace_id: str) -> Decoded:
        """The spans of one trace; none where Jaeger does not have it."""
        if self.has_v3:
            path = f"{V3}/traces/{trace_id}"
            answer = self._client.get(path, {"raw_traces": "true", "rawTraces": "true"})
            return self._spans_v3(answer, path)
        path = f"{V1}/traces/{trace_id}"
        raw = self._traces_v1(self._client.get(path), path)
        return decoded.together(own_json.of_v1(trace) for trace in raw)

    def _search_v3(self, query: Query) -> Decoded:
        answer = self._client.get(f"{V3}/traces", v3(query))
        if "search depth" in answer.message and query.limit > 1:
            return self._search_v3(query.smaller())
        return self._spans_v3(answer, f"{V3}/traces")

    def _search_v1(self, query: Query, seen: dict[str, Decoded]) -> Decoded:
        answer = self._client.get(f"{V1}/traces", v1(query))
        if "search depth" in answer.message and query.limit > 1:
            return self._search_v1(query.smaller(), seen)
        raw = self._traces_v1(answer, f"{V1}/traces")
        if not self.has_v3:
            return decoded.together(own_json.of_v1(trace) for trace in raw)
        found: list[Decoded] = []
        for trace in raw:
            id_ = own_json.trace_id(trace)
            if id_ not in seen:
                # One that has gone since v1 found it is given as v1 gave it.
                seen[id_] = self.trace(id_) or own_json.of_v1(trace)
            found.append(seen[id_])
        return decoded.together(found)

    def _spans_v3(self, answer: Answer, asked: str) -> Decoded:
        if answer.status == 404:
            return Decoded()
        if not answer.found:
            raise self._client.strange(answer, asked)
        for value in answer.objects or ():
            told = as_object(as_object(value).get("error"))
            if told and 404 in (told.get("httpCode"), told.get("http_code")):
                return Decoded()
            if told:
                raise SourceError(
                    f"Jaeger {self._client.shown} broke off its answer to {asked}: "
                    f"{answer.message}. Nothing of it is used"
                )
        try:
            return decoded.of_v3(answer.objects or ())
        except (ValueError, TypeError, RecursionError):
            raise self._client.strange(_as_other_json(answer), asked) from None

    def _traces_v1(self, answer: Answer, asked: str) -> list[Any]:
        if answer.status == 404 and answer.objects is not None:
            return []
        listed = self._listed(answer, "data", asked)
        if not all(own_json.is_trace(trace) for trace in listed):
            raise self._client.strange(_as_other_json(answer), asked)
        return listed

    def _listed(self, answer: Answer, key: str, asked: str) -> list[Any]:
        if not answer.found:
            raise self._client.strange(answer, asked)
        (first, *more) = answer.objects or [None]
        listed = as_object(first).get(key) or []
        if more or not isinstance(first, dict) or not isinstance(listed, list):
            raise self._client.strange(_as_other_json(answer), asked)
        return as_list(listed)

    @cached_property
    def _of_v3(self) -> Answer:
        return self._client.get(f"{V3}/services")

    @cached_property
    def _of_v1(self) -> Answer:
        return self._client.get(f"{V1}/services")


def _holds(answer: Answer, key: str) -> bool:
    """Whether that is the list of services: v3 leaves an empty one out, v1 writes null or []."""
    if not answer.found or len(answer.objects or ()) != 1:
        return False
    (only,) = answer.objects or [None]
    if not isinstance(only, dict):
        return False
    return isinstance(only.get(key), list) or (only.get(key) is None and only.keys() <= _AROUND)


_AROUND = {"data", "errors", "limit", "offset", "total"}


def _as_other_json(answer: Answer) -> Answer:
    return Answer(answer.status, answer.objects, "other JSON", answer.text)


def of_services(api: Api, services: Iterable[str]) -> dict[str, set[str]]:
    """The operations of many services, several asked at a time."""
    from concurrent.futures import ThreadPoolExecutor

    wanted = list(services)
    with ThreadPoolExecutor(8) as threads:
        return dict(zip(wanted, threads.map(api.operations, wanted), strict=True))
