"""The pages in a real browser: nothing is loaded or complained of, axe-core is content, keys work.

``GENTRACE_SCREENSHOTS=FOLDER`` keeps the pictures, to be looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from gentrace.report import groups_page
from gentrace.report.asked import asked
from gentrace.report.links import Links
from tests.core import traces
from tests.report import made_up
from tests.report.test_compare_pages import JAEGER, large, pair, three
from tools import servers

pytestmark = pytest.mark.service("browser")

ASKED = asked(["compare", "failing", "--source", "http://jaeger:16686/" + "a" * 90], "b" * 90)
SMALL = {
    "pair": lambda: pair(traces.completed(), traces.failed(), Links(JAEGER)),
    "pair_unfinished": lambda: pair(traces.completed(), traces.unfinished()),
    "pair_of_three": lambda: pair(three(), three()),
    "slow": lambda: groups_page.page(made_up.slow(), Links(JAEGER)),
    "failing": lambda: groups_page.page(made_up.failing(), Links(JAEGER)),
    "nothing": lambda: groups_page.page(made_up.nothing()),
    "slow_wordy": lambda: groups_page.page(made_up.wordy(made_up.slow()), Links(JAEGER), ASKED),
    "failing_wordy": lambda: groups_page.page(made_up.wordy(made_up.failing()), None, ASKED),
}
LARGE = {
    "pair_of_5000_folded": lambda: pair(large("1", 5_000, 12), large("2", 5_000, 12)),
    "pair_of_5000": lambda: pair(large("1", 5_000, 5_000), large("2", 5_000, 5_000)),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(servers.find("browser")))
        yield running
        running.close()


class Seen:
    """A page in the browser, and what went on while it was read."""

    def __init__(self, browser: Browser, folder: Path, html: str, **how: Any) -> None:
        path = folder / "page.html"
        path.write_text(html, encoding="utf-8")
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page: Page = browser.new_page(**how)
        self.page.on("console", lambda told: self.complaints.append(told.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url = path.as_uri()
        self.page.goto(self.url)

        self._measures = self.page.context.new_cdp_session(self.page)
        self._measures.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy_s(self) -> float:
        """The CPU time of the page's main thread, whatever else the machine does."""
        told = self._measures.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in told if each["name"] == "TaskDuration")

    def close(self) -> None:
        self.page.close()
        assert self.complaints == []
        assert self.requests == [self.url]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SMALL)
def test_a_page_is_quiet_and_accessible(
    browser: Browser, tmp_path: Path, name: str, scheme: str
) -> None:
    seen = Seen(
        browser, tmp_path, SMALL[name](), color_scheme=scheme,
        viewport={"width": 1_400, "height": 900},
    )  # fmt: skip
    _picture(seen.page, tmp_path, f"{name}-{scheme}")
    found = Axe().run(seen.page)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 10
    seen.close()


def test_light_and_dark_are_two(browser: Browser, tmp_path: Path) -> None:
    grounds: list[str] = []
    for scheme in ("light", "dark"):
        seen = Seen(browser, tmp_path, SMALL["pair"](), color_scheme=scheme)
        grounds.append(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        seen.close()
    assert grounds == ["rgb(255, 255, 255)", "rgb(21, 23, 28)"]


@pytest.mark.parametrize("name", LARGE)
def test_five_thousand_spans_are_shown_and_stay_quick(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    seen = Seen(browser, tmp_path, LARGE[name](), viewport={"width": 1_400, "height": 900})
    page = seen.page
    assert page.locator(".tree .row").count() > 5_000
    before_s = seen.busy_s()
    # A style and layout of everything that is open, as a click on the filter needs one.
    page.evaluate("document.getElementById('only').click(); document.body.offsetHeight")
    assert seen.busy_s() - before_s < 3
    assert page.locator("li.off").first.is_hidden()
    _picture(page, tmp_path, name, full=False)
    seen.close()


def test_a_page_is_used_with_keys_alone(browser: Browser, tmp_path: Path) -> None:
    seen = Seen(browser, tmp_path, SMALL["pair"](), viewport={"width": 1_400, "height": 900})
    page = seen.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.tree summary')"):
            break
    is_open = "document.activeElement.parentElement.open"
    assert page.evaluate(is_open) is True
    page.keyboard.press("Enter")
    assert page.evaluate(is_open) is False
    page.get_by_role("button", name="open all").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelectorAll('.tree details:not([open])').length") == 0
    page.get_by_role("button", name="close all").focus()
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelectorAll('.tree details[open]').length") == 0
    seen.close()


def test_the_mark_leads_to_the_span_where_the_runs_part(browser: Browser, tmp_path: Path) -> None:
    seen = Seen(browser, tmp_path, SMALL["pair"](), viewport={"width": 1_400, "height": 700})
    seen.page.get_by_role("link", name="show in A").click()
    marked = seen.page.locator(".panel .marked")
    assert marked.count() == 1
    assert "first divergence" in (marked.text_content() or "")
    assert "#A-" in seen.page.url
    assert seen.page.evaluate("document.querySelector(':target').matches('.marked')")
    seen.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1280])
@pytest.mark.parametrize("name", ["pair", "slow", "failing", "slow_wordy", "failing_wordy"])
def test_no_window_needs_sideways_scrolling(
    browser: Browser, tmp_path: Path, name: str, width: int, scheme: str
) -> None:
    seen = Seen(
        browser, tmp_path, SMALL[name](), color_scheme=scheme,
        viewport={"width": width, "height": 800},
    )  # fmt: skip
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    _picture(seen.page, tmp_path, f"{name}-{width}-{scheme}")
    seen.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_group_has_one_colour_in_all_drawings(
    browser: Browser, tmp_path: Path, scheme: str
) -> None:
    seen = Seen(browser, tmp_path, SMALL["slow"](), color_scheme=scheme)
    letters: dict[str, str] = seen.page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.card .letter')].map("
        "e => [e.textContent, getComputedStyle(e).backgroundColor]))"
    )
    bars: list[str] = seen.page.evaluate(
        "[...document.querySelectorAll('figure g')].map(e => getComputedStyle(e).fill)"
    )
    assert list(letters) == ["A", "B", "C", "D"]
    assert bars == list(letters.values())
    assert len(set(bars)) == 4
    of_mix = seen.page.locator("ol.findings circle").nth(2)
    assert of_mix.evaluate("e => getComputedStyle(e).fill") == letters["C"]
    seen.close()


@pytest.mark.parametrize("name", ["pair", "slow"])
def test_a_page_prints(browser: Browser, tmp_path: Path, name: str) -> None:
    seen = Seen(browser, tmp_path, SMALL[name](), color_scheme="dark")
    seen.page.emulate_media(media="print")
    assert seen.page.locator(".skip").is_hidden()
    grounds = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert grounds == "rgb(255, 255, 255)"
    printed = seen.page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    _keep(tmp_path, f"{name}.pdf", printed)
    seen.close()


def _picture(page: Page, folder: Path, name: str, *, full: bool = True) -> None:
    taken = page.screenshot(full_page=full)
    assert len(taken) > 5_000
    _keep(folder, f"{name}.png", taken)


def _keep(folder: Path, name: str, content: bytes) -> None:
    kept = Path(os.environ.get("GENTRACE_SCREENSHOTS") or folder)
    kept.mkdir(parents=True, exist_ok=True)
    (kept / name).write_bytes(content)
