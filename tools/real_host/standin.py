"""The examples' provider stand-in, which here also keeps a log of its jobs.

`STANDIN_JOBS` names the file: a line for each submission, with its prompt, when it came in, when it
was answered, and either its job's id and when the render is over, or the refusal.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.small_host import provider_standin

JOBS = os.environ.get("STANDIN_JOBS")
_submit = provider_standin.submit


async def submit(kind: str, token: str, body: dict[str, Any]) -> Any:
    """As the stand-in does, and a line in the log."""
    came = time.time()
    made = await _submit(kind, token, body)
    told: dict[str, Any] = {"came": came, "answered": time.time(), "prompt": body.get("prompt")}
    if isinstance(made, provider_standin.Job):
        over = time.time() + made.done_at - time.monotonic()
        told.update(job=str(made.id), over=None if over == float("inf") else over)
    else:
        told.update(refused=made[0])
    note(told)
    return made


def note(told: dict[str, Any]) -> None:
    """Appends one line to the log, if there is to be one."""
    if JOBS:
        with open(JOBS, "a", encoding="utf-8") as log:
            log.write(json.dumps(told) + "\n")


async def anything(request: Request) -> Response:
    """Whatever else the client asks for in passing: a success that says nothing."""
    return provider_standin.pixverse({})


async def credits(request: Request) -> Response:
    """Under the names that the provider's own client reads."""
    now = provider_standin.knobs.credits
    named = {"credit_daily": 0, "credit_monthly": now, "credit_package": 0, "credits": now}
    return provider_standin.pixverse(named)


provider_standin.submit = submit
app = provider_standin.app
app.router.routes.insert(0, Route(provider_standin.API + "/user/credits", credits))
app.router.routes.append(Route("/{rest:path}", anything, methods=["GET", "POST"]))

if __name__ == "__main__":
    provider_standin.main()
