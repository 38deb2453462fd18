"""Plays the providers' HTTP APIs from memory: words in a prompt decide what becomes of it.

Run `python provider_standin.py --port 8077`, or serve `provider_standin:app`. The words, the
environment variables and what they do are in the README beside this file.
"""

import argparse
import asyncio
import json
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

WORD = re.compile(
    r"\b(SLOWSUBMIT|SLOWRENDER|NEVERRENDER|NEVERANSWER|BADPROMPT|RETRYFILTER|FILTER|BOOM|CONC"
    r"|SESSION|QUOTA)(\d*)\b"
)
REFUSALS = {
    "BADPROMPT": (500063, "The prompt was refused"),
    "RETRYFILTER": (500054, "Filtered, try again"),
    "CONC": (500044, "Too many jobs at once"),
    "QUOTA": (500090, "Out of credits"),
    "SESSION": (10005, "The session is dead"),
}
RENDERING, DONE, FILTERED = 5, 1, 7


@dataclass
class Job:
    id: int
    kind: str
    token: str
    done_at: float
    end: int

    @property
    def status(self) -> int:
        return self.end if time.monotonic() >= self.done_at else RENDERING


@dataclass
class Knobs:
    """What a test may change while the stand-in runs, by POST /control."""

    render_s: float = float(os.environ.get("STANDIN_RENDER_S", "1"))
    slow_render_s: float = float(os.environ.get("STANDIN_SLOW_RENDER_S", "10"))
    slow_submit_s: float = float(os.environ.get("STANDIN_SLOW_SUBMIT_S", "5"))
    credits: int = int(os.environ.get("STANDIN_CREDITS", "1000"))


knobs = Knobs()
jobs: dict[int, Job] = {}
ids = count(int(time.time()) * 1000)
said: Counter[tuple[str, str]] = Counter()


def words_of(prompt: str) -> set[str]:
    """Returns the words that hold now: `CONC1` holds for the first submission of its prompt."""
    found: set[str] = set()
    for word, times in WORD.findall(prompt):
        said[prompt, word] += 1
        if not times or said[prompt, word] <= int(times):
            found.add(word)
    return found


async def submit(kind: str, token: str, body: dict[str, Any]) -> Job | tuple[int, str]:
    """Returns the new job, or a refusal's code and text; 502 stands for the HTTP status."""
    prompt = body.get("prompt") or " ".join(body.get("prompts") or [])
    words = words_of(prompt)
    if "NEVERANSWER" in words:
        await asyncio.sleep(3600)
    if "SLOWSUBMIT" in words:
        await asyncio.sleep(knobs.slow_submit_s)
    if "BOOM" in words:
        return 502, "Bad gateway"
    for word, refusal in REFUSALS.items():
        if word in words:
            return refusal
    render_s = knobs.slow_render_s if "SLOWRENDER" in words else knobs.render_s
    if "NEVERRENDER" in words:
        render_s = float("inf")
    end = FILTERED if "FILTER" in words else DONE
    job = Job(next(ids), kind, token, time.monotonic() + render_s, end)
    jobs[job.id] = job
    return job


def media_url(request: Request, job: Job) -> str:
    return f"{request.base_url}media/{job.id}.{'png' if job.kind == 'image' else 'mp4'}"


def pixverse(answer: Any = None, code: int = 0, message: str = "Success") -> JSONResponse:
    return JSONResponse({"ErrCode": code, "ErrMsg": message, "Resp": answer})


async def pixverse_submit(request: Request) -> Response:
    kind = request.path_params["kind"]
    token = request.headers.get("token", "")
    made = await submit(kind, token, await request.json())
    if isinstance(made, Job):
        return pixverse({f"{kind}_id": made.id, "success_ids": [made.id]})
    code, text = made
    return Response(text, 502) if code == 502 else pixverse(None, code, text)


async def pixverse_list(request: Request) -> Response:
    kind = request.path_params["kind"]
    token = request.headers.get("token", "")
    body = await request.json()
    mine = [j for j in reversed(jobs.values()) if j.token == token and j.kind == kind]
    start = body.get("offset", 0)
    return pixverse(
        {
            "data": [
                {
                    f"{kind}_id": job.id,
                    f"{kind}_status": job.status,
                    "url": media_url(request, job) if job.status == DONE else "",
                    "first_frame": "",
                    "video_duration": 5,
                }
                for job in mine[start : start + body.get("limit", 50)]
            ]
        }
    )


async def pixverse_message(request: Request) -> Response:
    token = request.headers.get("token", "")
    over = [j for j in jobs.values() if j.token == token and j.status != RENDERING]
    lists = {f"{k}_list": [j.id for j in over if j.kind == k] for k in ("video", "image")}
    return pixverse(lists)


async def pixverse_credits(request: Request) -> Response:
    return pixverse({"credits": knobs.credits})


async def sora_create(request: Request) -> Response:
    made = await submit("video", request.headers.get("authorization", ""), await request.json())
    if isinstance(made, Job):
        return JSONResponse({"id": f"task_{made.id}", "state": "queued"})
    code, text = made
    if code == 502:
        return Response(text, 502)
    return JSONResponse({"id": None, "state": "rejected", "reason": text})


async def sora_read(request: Request) -> Response:
    job = jobs.get(int(request.path_params["task_id"].removeprefix("task_")))
    if job is None:
        return Response(status_code=404)
    if job.status == DONE:
        return JSONResponse({"state": "succeeded", "url": media_url(request, job)})
    return JSONResponse({"state": "rejected" if job.status == FILTERED else "running"})


async def remaker_create(request: Request) -> Response:
    made = await submit("image", request.headers.get("authorization", ""), await request.json())
    if isinstance(made, Job):
        return JSONResponse({"code": 100_000, "result": {"job_id": str(made.id)}})
    code, text = made
    if code == 502:
        return Response(text, 502)
    return JSONResponse({"code": 300_500, "message": text})


async def remaker_read(request: Request) -> Response:
    job = jobs.get(int(request.path_params["job_id"]))
    if job is None:
        return Response(status_code=404)
    if job.status == DONE:
        return JSONResponse({"code": 100_000, "result": {"output": [media_url(request, job)]}})
    filtered = job.status == FILTERED
    return JSONResponse({"code": 300_500 if filtered else 300_102, "message": "not finished"})


async def media(request: Request) -> Response:
    return Response(b"\x00" * 4096, media_type="application/octet-stream")


async def control(request: Request) -> Response:
    for name, value in (await request.json()).items():
        setattr(knobs, name, value)
    return JSONResponse(vars(knobs))


class RequestLog:
    """Appends each request, as it came, to the file that STANDIN_LOG names."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self.path = os.environ.get("STANDIN_LOG")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.path:
            line = {
                "time": datetime.now(UTC).isoformat(),
                "method": scope["method"],
                "path": scope["path"],
                "headers": dict(Headers(scope=scope)),
            }
            with open(self.path, "a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        await self.app(scope, receive, send)


API = "/creative_platform"
app = Starlette(
    routes=[
        Route(API + "/{kind}/list/personal", pixverse_list, methods=["POST"]),
        Route(API + "/account/message", pixverse_message, methods=["POST"]),
        Route(API + "/user/credits", pixverse_credits),
        Route(API + "/{kind}/{operation}", pixverse_submit, methods=["POST"]),
        Route("/sora/v1/tasks", sora_create, methods=["POST"]),
        Route("/sora/v1/tasks/{task_id}", sora_read),
        Route("/api/pai/v4/{editor}/create-job", remaker_create, methods=["POST"]),
        Route("/api/pai/v4/{editor}/get-job/{job_id}", remaker_read),
        Route("/media/{name}", media),
        Route("/control", control, methods=["POST"]),
    ]
)
app.add_middleware(RequestLog)


def main() -> None:
    parser = argparse.ArgumentParser(description="A provider that answers as the prompt asks.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8077)
    options = parser.parse_args()
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
