"""A Jaeger as a source: which of its services are ours, how far back it is asked, what is said.

Each search is one service's, so every service of ours is searched and the traces, which Jaeger
gives whole, are put together by their ids.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property, partial

from gentrace.core import names
from gentrace.core.otel_env import without_password
from gentrace.core.spans import Span, Trace, oldest_first, plain, repeated
from gentrace.core.spans import traces as grouped
from gentrace.sources.base import ALWAYS, Found, Window
from gentrace.sources.jaeger.access import Access
from gentrace.sources.jaeger.api import Api, of_services
from gentrace.sources.jaeger.client import Client
from gentrace.sources.jaeger.query import Query
from gentrace.sources.jaeger.slices import Collected, collect

OURS = frozenset({names.RUN, names.CREATE_GENERATION, names.PROCESS_GENERATION, names.STARTUP})
LISTED_DAYS = 7  # as long as a spool keeps them
LOOKED_UP_DAYS = 30
AHEAD_S = 3_600  # the clocks of those who write may be ahead
A_SEARCH, MOST = 500, 2_000
MOST_SERVICES = 300
MOST_WHOLE = 200
_DAY_NS = 86_400 * 10**9


class Jaeger:
    """Jaeger's query service.

    Args:
        url: its address, see :func:`gentrace.sources.jaeger.access.base_url`.
        how: headers, TLS, time-out.
        profile: services whose names begin with it are ours without asking.
        service: OTEL_SERVICE_NAME, so is that one, and that of its runs.
        a_search: how many traces one search asks for.
        most: how many traces are read for one question.

    Raises:
        SourceError: from every reading method, where Jaeger gives no whole answer.
    """

    def __init__(
        self,
        url: str,
        how: Access | None = None,
        *,
        profile: str = "",
        service: str = "",
        a_search: int = A_SEARCH,
        most: int = MOST,
    ) -> None:
        self.url = without_password(url)
        self._client = Client(url, how or Access())
        self._api = Api(self._client)
        self._profile, self._service = profile, service
        self._a_search, self._most = a_search, most
        self._notes: dict[str, None] = {}

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    @property
    def description(self) -> str:
        """What is read, for messages."""
        return f"Jaeger {self.url}"

    @property
    def notes(self) -> Sequence[str]:
        """How far back was searched, what was left out, what could not be understood."""
        return list(self._notes)

    @property
    def looked_at(self) -> str:
        """What a search that found nothing went through."""
        ours = " and ".join(self.services[:3]) + (" and more" if len(self.services) > 3 else "")
        return f"the last {LOOKED_UP_DAYS} days of {ours or 'no service'}"

    @cached_property
    def services(self) -> list[str]:
        """The services with spans of gentrace, sorted."""
        every = self._api.services
        sure = [name for name in every if self._is_sure(name)]
        asked = [name for name in every if name not in sure]
        if len(asked) > MOST_SERVICES:
            self._note(
                f"Jaeger {self.url} has {len(every)} services; {MOST_SERVICES} were asked whether "
                "they are ours. OTEL_SERVICE_NAME or GENTRACE_PROFILE names one for certain"
            )
        answers = of_services(self._api, asked[:MOST_SERVICES])
        return sorted([*sure, *(name for name, spans in answers.items() if spans & OURS)])

    def traces(self, window: Window = ALWAYS) -> Found:
        """The traces with a span of our services in the window, oldest first."""
        window = self._closed(window, LISTED_DAYS)
        found = self._search(window)
        if found.truncated:
            self._note(
                f"Jaeger {self.url} has more than was read: the newest {len(found.traces)} traces. "
                "--since narrows it"
            )
        return found

    def trace(self, trace_id: str) -> Sequence[Trace]:
        """The trace of that id; for the beginning of one, those of the last days that have it."""
        wanted = trace_id.lower()
        if len(wanted) == 32:
            found = self._api.trace(wanted)
            return self._told(grouped(found), found.damaged, found.cut)
        return [trace for trace in self.traces().traces if trace.trace_id.startswith(wanted)]

    def by_generation(self, generation_id: str, window: Window = ALWAYS) -> Found:
        """The traces with a span of that generation."""
        return self.by_attribute(names.GENERATION_ID, generation_id, window)

    def by_attribute(self, name: str, value: str, window: Window = ALWAYS) -> Found:
        """The traces with a span that carries the attribute with that value, as text."""
        closed = self._closed(window, LOOKED_UP_DAYS, said=False)
        can_filter = self._api.filters if self.services else "v3"
        found = self._search(closed, {name: value} if can_filter else {})
        # Jaeger also looks into events and resources, which is not what was asked.
        kept = [trace for trace in found.traces if _carries(trace.spans, name, value)]
        return Found(kept, found.truncated)

    def goes_on(self, at_ns: int) -> bool:
        """Whether a span of ours starts after that."""
        until_ns = max(at_ns, time.time_ns()) + AHEAD_S * 10**9
        queries = (Query(service, at_ns, until_ns, 1) for service in self.services)
        return any(self._api.search(query) for query in queries)

    def is_empty(self) -> bool:
        """Whether Jaeger has no service of ours."""
        if not self.services and (others := self._api.services):
            some = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
            self._note(f"Jaeger {self.url} has other services ({some}), none with our spans")
        return not self.services

    def _is_sure(self, name: str) -> bool:
        set_by_hand = (self._service, f"{self._service}-runs") if self._service else ()
        return name in set_by_hand or bool(
            self._profile and name.startswith((f"{self._profile}-", f"{self._profile}_"))
        )

    def _search(self, window: Window, tags: dict[str, str] | None = None) -> Found:
        into = Collected()
        search = partial(self._api.search, seen={})
        for service in self.services:
            query = Query(service, window.since_ns, window.until_ns, self._a_search, tags or {})
            collect(search, query, self._most, into)
        self._make_whole(into)
        return Found(self._told(into.by_id.values(), into.damaged, into.cut), into.truncated)

    def _make_whole(self, into: Collected) -> None:
        """Ask for traces by their id where a parent is missing.

        Elasticsearch gives of a trace that it found by time only what began near that time.
        """
        torn = [id_ for id_, trace in into.by_id.items() if _torn(trace.spans)]
        for trace_id in torn[:MOST_WHOLE]:
            into.add(self._api.trace(trace_id))
        if len(torn) > MOST_WHOLE:
            self._note(f"{len(torn) - MOST_WHOLE} traces may be missing their beginning")

    def _told(self, given: Iterable[Trace], damaged: int, cut: str) -> list[Trace]:
        """The traces, oldest first, with what is to be said of them."""
        found = oldest_first(given)
        if twice := sum(trace.repeated for trace in found):
            self._note(repeated(twice))
        if damaged:
            plural = "s" * (damaged > 1)
            self._note(f"{damaged} damaged span{plural} in Jaeger's answers, left out")
        if cut:
            self._note(f"Jaeger held spans back: {cut}. What is shown is not the whole trace")
        return found

    def _closed(self, window: Window, days: int, said: bool = True) -> Window:
        """The window with both ends: Jaeger searches between two moments only."""
        now_ns = time.time_ns()
        if not window.since_ns and said:
            self._note(f"Jaeger {self.url} was searched {days} days back; --since looks further")
        return Window(
            window.since_ns or now_ns - days * _DAY_NS,
            window.until_ns or now_ns + AHEAD_S * 10**9,
        )

    def _note(self, text: str) -> None:
        self._notes[text] = None


def _torn(spans: Iterable[Span]) -> bool:
    known = {span.span_id for span in spans}
    return any(span.parent_id and span.parent_id not in known for span in spans)


def _carries(spans: Iterable[Span], name: str, value: str) -> bool:
    return any(name in span.attributes and plain(span.attributes[name]) == value for span in spans)
