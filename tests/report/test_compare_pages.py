"""The pages: well formed, nothing loaded, everything escaped, with 3 spans and with 5,000."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import pytest

from gentrace.analysis.compare import pairs
from gentrace.analysis.compare.model import Exemplar
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.core.spans import Span
from gentrace.core.spans import traces as grouped
from gentrace.report import groups_page, pair_page
from gentrace.report.links import Links
from tests.core import traces
from tests.core.traces import Tracer
from tests.report import made_up
from tests.support.html_page import Page

JAEGER = "http://127.0.0.1:16686"
EVIL = (
    "</title></style><script>alert(1)</script>\"'><img src=//x.example onerror=alert(2)>\x00\u202e"
)
GROUPS = {"slow": made_up.slow, "failing": made_up.failing, "nothing": made_up.nothing}


def run_of(spans: list[Span]) -> Run:
    return runs(grouped(spans))[0]


def three() -> Tracer:
    t = Tracer("three", "3")
    create = t.span("create_generation", 0, 10, service="api")
    t.span("enqueue process_generation", 5, 9, create, kind="PRODUCER", service="api")
    t.span("generation.finish", 40, 50, create, generation__outcome="completed")
    return t


def large(seed: str, spans: int, names: int) -> Tracer:
    """A completed run with that many more spans of so many names below its job."""
    t, drawn = traces.completed(seed, seed), random.Random(seed)
    parents = [span for span in t.spans if span.name in ("process_generation", "provider.execute")]
    for _ in range(spans):
        at_ms = drawn.uniform(570, 7_000)
        made = t.span(
            f"operation {drawn.randrange(names)}", at_ms, at_ms + drawn.uniform(0, 300),
            drawn.choice(parents[-6:]),
        )  # fmt: skip
        if drawn.random() < 0.02:
            parents.append(made)
    return t


def pair(a: Tracer, b: Tracer, links: Links | None = None) -> str:
    return pair_page.page(pairs.compare(run_of(a.spans), run_of(b.spans)), links)


def pages() -> dict[str, str]:
    links = Links(JAEGER)
    return {
        "pair": pair(traces.completed(), traces.failed(), links),
        "pair unfinished": pair(traces.completed(), traces.unfinished()),
        "pair of three spans": pair(three(), three()),
        **{name: groups_page.page(made(), links) for name, made in GROUPS.items()},
    }


PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_and_loads_nothing(name: str) -> None:
    page = Page(PAGES[name])
    assert page.problems() == []
    assert [url for url in page.loaded() if not url.startswith(f"{JAEGER}/trace/")] == []
    assert not re.search(r"url\(|@import|https?://(?!127\.0\.0\.1:16686/trace/)", PAGES[name])
    policy = page.values("content")[0]
    assert "default-src 'none'" in policy
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") <= 1
    assert not {"img", "iframe", "link", "object", "form"} & set(tags)


def test_a_pair_tells_what_differs() -> None:
    text = Page(PAGES["pair"]).text
    for told in ("generation 28 and generation 29", "less than A", "First divergence",
                 "content_prompt_rejected", "provider_run", "gap: queue"):  # fmt: skip
        assert told in text
    assert f"{JAEGER}/trace/{traces.trace_id('28')}" in PAGES["pair"]


def test_groups_tell_what_was_found_and_what_not() -> None:
    slow, failing, nothing = (Page(PAGES[name]).text for name in GROUPS)
    assert slow.index("generation.account.id = 7") < slow.index("no attribute accounts for it")
    assert "+18.4 s [+12.9 s, +24.0 s]" in slow
    assert "not enough data: image_to_image of remaker" in slow
    assert "6 have not ended" in slow
    assert "nearest success" in failing
    assert "new since 9f2c6a1" in failing
    assert "Nothing could be asked: a: 2 runs, b: none" in nothing
    assert f"{JAEGER}/trace/{traces.trace_id('311')}" in PAGES["slow"]


def evil_spans() -> list[Span]:
    return [
        replace(
            span, name=span.name if span.kind != "INTERNAL" else EVIL + span.name,
            status_message=EVIL, service=EVIL, status="ERROR",
            attributes={**span.attributes, EVIL: EVIL, "generation.model": EVIL},
        )
        for span in traces.failed().spans
    ]  # fmt: skip


def evil_groups() -> str:
    found = made_up.failing()
    finding = replace(found.findings[0], name=EVIL, value=EVIL, also=(EVIL,),
                      exemplars=(Exemplar(EVIL, EVIL),))  # fmt: skip
    fingerprint = replace(found.fingerprints[0], fingerprint=EVIL, stage=EVIL, new_since=EVIL)
    sides = {f"{EVIL}{name}": replace(side, label=EVIL) for name, side in found.groups.items()}
    return groups_page.page(
        replace(found, findings=[finding], fingerprints=[fingerprint], groups=sides, notes=[EVIL]),
        Links(JAEGER),
    )


@pytest.mark.parametrize("kind", ["pair", "groups"])
def test_what_a_host_wrote_stays_text(kind: str) -> None:
    if kind == "groups":
        html = evil_groups()
    else:
        completed, failed = run_of(traces.completed().spans), run_of(evil_spans())
        html = pair_page.page(pairs.compare(completed, failed), Links(JAEGER))
    page = Page(html)
    assert page.problems() == []
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == (kind == "pair")
    assert "img" not in tags
    attributes = {name for _, told in page.tags for name in told}
    assert not [name for name in attributes if name.startswith("on")]
    assert "alert(1)" in page.text
    assert not {"\x00", "\u202e"} & set(html)


@pytest.mark.parametrize("names", [12, 5_000])
def test_five_thousand_spans_make_a_page_of_less_than_five_megabytes(names: int) -> None:
    html = pair(large("1", 5_000, names), large("2", 5_000, names))
    assert len(html.encode()) < 5_000_000
    assert Page(html).problems() == []


def test_long_texts_do_not_make_a_page_too_large() -> None:
    told: dict[str, Any] = {"x" * 3_000: "y" * 3_000}
    made = large("1", 3_000, 3_000)
    made.spans = [replace(s, name=s.name * 200, attributes={**s.attributes, **told})
                  for s in made.spans]  # fmt: skip
    html = pair(made, traces.completed("2", "2"))
    assert len(html.encode()) < 5_000_000
