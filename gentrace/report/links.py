"""Addresses in Jaeger's page: a trace, and the search that shows a set of runs.

A search of Jaeger's is for one service and for tags that all stand on one span. What it would show
is worked out here on the runs' own spans, so that runs that it leaves out can be said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from rich.console import Console

from gentrace.analysis import filters
from gentrace.analysis.filters import Filter
from gentrace.analysis.runs import Run
from gentrace.core import names, settings
from gentrace.core.spans import Span, plain
from gentrace.report.terminal import address, say
from gentrace.sources.base import Source
from gentrace.sources.otlp_files import OtlpFiles

FEWEST, MOST = 20, 1_500  # what the page shows unasked, and the most that it asks for
_AFTER_NS = 1_000_000_000
_CANDIDATES = (names.RUN, "")


@dataclass(frozen=True, slots=True)
class Searches:
    """Searches that together show a set of runs.

    Attributes:
        urls: one for each service that is needed, the one that shows most first.
        left_out: how many of the runs none of them shows.
    """

    urls: Sequence[str] = ()
    left_out: int = 0


class Links:
    """Addresses below one Jaeger's page.

    Args:
        base: the page's address, with its base path.
    """

    def __init__(self, base: str) -> None:
        self.base = base

    def trace(self, trace_id: str) -> str:
        """The page of one trace."""
        return f"{self.base}/trace/{trace_id}"

    def search(
        self,
        service: str,
        start_ns: int,
        end_ns: int,
        *,
        operation: str = "",
        tags: Mapping[str, str] | None = None,
        limit: int = FEWEST,
    ) -> str:
        """The page of one search, as its form would write it: times in Unix microseconds."""
        asked: dict[str, str | int] = {"service": service}
        if operation:
            asked["operation"] = operation
        if tags:
            asked["tags"] = json.dumps(dict(tags), separators=(",", ":"), ensure_ascii=False)
        asked["start"], asked["end"] = start_ns // 1_000, -(-end_ns // 1_000)
        asked |= {"lookback": "custom", "limit": min(MOST, max(FEWEST, limit))}
        return f"{self.base}/search?{urlencode(asked, quote_via=quote, safe=':,')}"

    def of_generation(self, runs: Sequence[Run]) -> Searches:
        """The searches that show these runs of one generation."""
        ids = {run.id for run in runs}
        id_ = ids.pop() if len(ids) == 1 else None
        return self._of(runs, {} if id_ is None else {names.GENERATION_ID: id_})

    def of_listing(self, runs: Sequence[Run], wanted: Filter) -> Searches:
        """The searches that show these runs, found by those conditions."""
        return self._of(runs, _tags(wanted, runs))

    def _of(self, runs: Sequence[Run], tags: Mapping[str, str]) -> Searches:
        """For each service the runs that it shows; of them as few services as show all."""
        best: dict[str, set[int]] = {}
        operation = ""
        for candidate in _CANDIDATES if tags else ("",):
            shown = _shown(runs, candidate, tags)
            if len(_union(shown)) > len(_union(best)):
                best, operation = shown, candidate
        start_ns = min((run.trace.start_ns for run in runs), default=0)
        end_ns = max((run.trace.end_ns for run in runs), default=0) + _AFTER_NS
        urls: list[str] = []
        seen: set[int] = set()
        for service in sorted(best, key=lambda name: (-len(best[name]), name)):
            if best[service] - seen:
                seen |= best[service]
                urls.append(
                    self.search(
                        service, start_ns, end_ns,
                        operation=operation, tags=tags, limit=len(runs),
                    )
                )  # fmt: skip
        return Searches(urls, len(runs) - len(seen))


def links(source: Source, environ: Mapping[str, str] | None = None) -> Links | None:
    """Links into the Jaeger that GENTRACE_JAEGER_URL names, else the one that is read.

    Raises:
        SourceError: the variable holds no address.
    """
    named = settings.jaeger_url(environ)
    if not named and isinstance(source, OtlpFiles):
        return None
    from gentrace.sources.jaeger import Jaeger
    from gentrace.sources.jaeger.access import base_url

    if named:
        return Links(base_url(named, "GENTRACE_JAEGER_URL").rstrip("/"))
    return Links(source.url) if isinstance(source, Jaeger) else None


def _union(shown: Mapping[str, set[int]]) -> set[int]:
    return {number for numbers in shown.values() for number in numbers}


def _shown(runs: Sequence[Run], operation: str, tags: Mapping[str, str]) -> dict[str, set[int]]:
    """By service, which of the runs have a span that such a search finds."""
    found: dict[str, set[int]] = {}
    for number, run in enumerate(runs):
        for span in run.parts.spans:
            if (not operation or span.name == operation) and _tagged(span, tags):
                found.setdefault(span.service, set()).add(number)
    return found


def _tagged(span: Span, tags: Mapping[str, str]) -> bool:
    return all(
        plain(span.attributes.get(name, span.resource.get(name))) == value
        for name, value in tags.items()
    )


def _tags(wanted: Filter, runs: Iterable[Run]) -> dict[str, str]:
    """The conditions that a tag can say."""
    tags = {
        name: value
        for name, value in (
            (names.PROVIDER, wanted.provider),
            (names.MODEL, wanted.model),
            (names.OPERATION, wanted.operation),
            (names.ACCOUNT_ID, wanted.account),
            (names.USER_ID, wanted.user),
            *((filters.SHORT.get(name, name), value) for name, value in wanted.where),
        )
        if value
    }
    named = {run.id for run in runs}
    if wanted.ids and len(named) == 1 and (id_ := named.pop()) is not None:
        tags[names.GENERATION_ID] = id_
    if len(wanted.outcomes) == 1 and wanted.outcomes[0] not in filters.NO_OUTCOMES:
        tags[names.OUTCOME] = wanted.outcomes[0]
    if wanted.error:
        codes = {run.error_code for run in runs}
        if len(codes) == 1 and (code := codes.pop()):
            tags[names.ERROR_CODE] = code
    return tags


def print_searches(to: Console, searches: Searches, of: int) -> None:
    """Where Jaeger's page shows the same; says what it leaves out there."""
    for url in searches.urls:
        address(to, url)
    if searches.left_out:
        count = f"{of - searches.left_out} of these {of}"
        say(to, f"that search in Jaeger shows {count}: the others have no such span", "dim")
