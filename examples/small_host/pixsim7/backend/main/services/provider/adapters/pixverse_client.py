"""The HTTP client of the Pixverse API: one method a call, and its refusals as errors."""

from dataclasses import dataclass
from typing import Any

import httpx

from pixsim7.backend.main.shared.config import settings

VIDEO_API = "/creative_platform/video"
IMAGE_API = "/creative_platform/image"


class PixverseAPIError(Exception):
    """The API answered with an error code, or with no success status (`code` is None)."""

    def __init__(self, code: int | None, message: str):
        super().__init__(f"Pixverse error {code}: {message}")
        self.code = code


@dataclass(frozen=True)
class PixverseJob:
    id: str
    status: int
    url: str | None = None
    thumbnail: str | None = None
    duration: float | None = None


def _job(row: dict[str, Any], kind: str) -> PixverseJob:
    return PixverseJob(
        id=str(row[f"{kind}_id"]),
        status=row[f"{kind}_status"],
        url=row.get("url") or None,
        thumbnail=row.get("first_frame") or None,
        duration=row.get("video_duration"),
    )


class PixverseClient:
    def __init__(self, token: str):
        self._headers = {"token": token}

    async def create(self, prompt: str, **options: Any) -> PixverseJob:
        name = "i2v" if options.get("image_url") else "t2v"
        return await self._submit(f"{VIDEO_API}/{name}", "video", prompt=prompt, **options)

    async def extend(self, video_url: str, prompt: str, **options: Any) -> PixverseJob:
        path = f"{VIDEO_API}/extend"
        return await self._submit(path, "video", video_url=video_url, prompt=prompt, **options)

    async def transition(self, prompts: list[str], **options: Any) -> PixverseJob:
        return await self._submit(f"{VIDEO_API}/frames", "video", prompts=prompts, **options)

    async def modify(self, video_url: str, prompt: str, **options: Any) -> PixverseJob:
        path = f"{VIDEO_API}/modify"
        return await self._submit(path, "video", video_url=video_url, prompt=prompt, **options)

    async def fusion(self, prompt: str, **options: Any) -> PixverseJob:
        return await self._submit(f"{VIDEO_API}/fusion", "video", prompt=prompt, **options)

    async def create_image(self, prompt: str, **options: Any) -> PixverseJob:
        name = "i2i" if options.get("image_urls") else "t2i"
        return await self._submit(f"{IMAGE_API}/{name}", "image", prompt=prompt, **options)

    async def list_jobs(self, kind: str, limit: int, offset: int) -> list[PixverseJob]:
        path = f"/creative_platform/{kind}/list/personal"
        answer = await self._call("POST", path, {"limit": limit, "offset": offset})
        return [_job(row, kind) for row in answer["data"]]

    async def finished_ids(self) -> set[str]:
        """Returns the ids that the account's messages announce as over."""
        answer = await self._call("POST", "/creative_platform/account/message", {})
        return {str(i) for i in (*answer["video_list"], *answer["image_list"])}

    async def credits(self) -> int:
        return int((await self._call("GET", "/creative_platform/user/credits"))["credits"])

    async def _submit(self, path: str, kind: str, **body: Any) -> PixverseJob:
        answer = await self._call("POST", path, body)
        return PixverseJob(id=str(answer[f"{kind}_id"]), status=5)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with httpx.AsyncClient(
            base_url=settings.provider_base_url,
            timeout=settings.provider_timeout_s,
            headers=self._headers,
        ) as http:
            response = await http.request(method, path, json=body)
        if response.is_error:
            raise PixverseAPIError(None, f"HTTP {response.status_code} from {path}")
        answer = response.json()
        if answer["ErrCode"]:
            raise PixverseAPIError(answer["ErrCode"], answer["ErrMsg"])
        return answer["Resp"]
