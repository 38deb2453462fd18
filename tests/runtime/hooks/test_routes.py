"""Which requests are for a route that the profile names."""

from __future__ import annotations

from typing import Any

import pytest

from gentrace.core.profile import Route
from gentrace.runtime.hooks.routes import Named, Routes, is_of

ROUTES = Routes(
    [
        Route("POST", "/api/jobs"),
        Route("post", "/api/jobs/{job_id}/retry"),
        Route("POST", "/api/orders/{order_id:int}"),
        Route("POST", "/files/{name:path}"),
    ]
)


def match(method: str, path: str, **more: Any) -> Named | None:
    return ROUTES.match({"type": "http", "method": method, "path": path, **more})


@pytest.mark.parametrize(
    ("path", "named", "found"),
    [
        ("/api/jobs", "/api/jobs", ()),
        ("/api/jobs/", "/api/jobs", ()),
        ("/api/jobs/7/retry", "/api/jobs/{job_id}/retry", ("7",)),
        ("/api/jobs/7/retry/", "/api/jobs/{job_id}/retry", ("7",)),
        ("/api/orders/12", "/api/orders/{order_id:int}", ("12",)),
        ("/files/a/b.png", "/files/{name:path}", ("a/b.png",)),
    ],
)
def test_named(path: str, named: str, found: tuple[str, ...]) -> None:
    seen = match("POST", path)
    assert seen is not None
    assert (seen.path, seen.found) == (named, found)
    assert match("GET", path) is None


@pytest.mark.parametrize(
    "path",
    ["/", "", "/api", "/api/jobs/7", "/api/jobs//retry", "/api/jobs/7/8/retry", "/api/orders/mine"],
)
def test_not_named(path: str) -> None:
    assert match("POST", path) is None


def test_below_a_root_path() -> None:
    """Whether the server puts it into the path or not."""
    assert match("POST", "/root/api/jobs", root_path="/root") == Named("/api/jobs")
    assert match("POST", "/jobs", root_path="/api") == Named("/api/jobs")
    assert match("POST", "/other/api/jobs", root_path="/root") is None


@pytest.mark.parametrize(
    ("path", "route", "is_named"),
    [
        ("/api/jobs/7/retry", "/api/jobs/{number}/retry", False),
        ("/api/jobs/7/retry", "/api/jobs/{job_id:int}/retry", True),
        ("/api/jobs/all/retry", "/api/jobs/all/retry", False),  # a route of its own
        ("/api/jobs/7/retry", "/api", True),  # mounted there
        ("/api/jobs/7/retry", "", True),
        ("/api/jobs/7/retry", None, False),
        ("/api/jobs", None, True),
        ("/api/jobs/", None, False),  # the server redirects
        ("/api/jobs/", "/api/jobs/", True),
    ],
)
def test_the_applications_own_route_has_the_last_word(
    path: str, route: str | None, is_named: bool
) -> None:
    named = match("POST", path)
    assert named is not None
    assert is_of(named, route, path) is is_named
