"""The provider's HTTP API, called with `requests`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

STATUSES = {1: "completed", 10: "completed", 5: "processing", 7: "filtered", 8: "failed"}


class APIError(Exception):
    """The provider said no."""

    def __init__(self, text: str, err_code: int = 0, err_msg: str = "") -> None:
        super().__init__(text)
        self.err_code, self.err_msg = err_code, err_msg


@dataclass
class Video:
    """A video, perhaps not yet rendered."""

    id: str
    status: str
    url: str | None = None
    thumbnail_url: str | None = None
    first_frame: str | None = None
    duration: float | None = None


class PixverseAPI:
    """One session with the provider."""

    def __init__(self) -> None:
        self.base_url = "https://app-api.pixverse.ai"
        self.session = requests.Session()

    def create_video(
        self, prompt: str, image_url: str | None, options: dict[str, Any], account: Any
    ) -> Video:
        """Asks for a video, from a text or from an image."""
        kind = "i2v" if image_url else "t2v"
        body = {"prompt": prompt, "customer_img_url": image_url, **options}
        told = self._ask("POST", f"/creative_platform/video/{kind}", account, body)
        video_id = str(told["video_id"])
        return Video(video_id, "processing", f"{self.base_url}/media/{video_id}.mp4")

    def get_video(self, video_id: str, account: Any) -> Video:
        """Finds a video in the account's list."""
        body = {"offset": 0, "limit": 100}
        told = self._ask("POST", "/creative_platform/video/list/personal", account, body)
        for each in told["data"]:
            if str(each["video_id"]) == str(video_id):
                status = STATUSES.get(each["video_status"], "processing")
                return Video(str(video_id), status, each["url"] or None, each["url"] or None)
        raise APIError(f"no such video: {video_id}")

    def get_credits(self, account: Any) -> dict[str, Any]:
        """What the account has left."""
        told = self._ask("GET", "/creative_platform/user/credits", account)
        return {"total_credits": told["credits"]}

    def get_openapi_credits(self, account: Any) -> dict[str, Any]:
        """Nothing: no account has a key."""
        return {"credits": 0}

    def get_user_info(self, account: Any) -> dict[str, Any]:
        """Nothing is known of the user."""
        return {}

    def _ask(self, method: str, path: str, account: Any, body: Any = None) -> Any:
        headers = {"token": str(account.session.get("jwt_token") or "")}
        url = self.base_url + path
        answer = self.session.request(method, url, json=body, headers=headers, timeout=60)
        if answer.status_code >= 400:
            raise APIError(f"HTTP {answer.status_code}: {answer.text[:100]}")
        told = answer.json()
        if told["ErrCode"]:
            text = f"Error {told['ErrCode']}: {told['ErrMsg']}"
            raise APIError(text, int(told["ErrCode"]), told["ErrMsg"])
        return told["Resp"]
