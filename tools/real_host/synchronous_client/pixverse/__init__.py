"""A small synchronous client of the provider, for revisions whose own is not public.

It has the names that those revisions import, and does what a text-to-video generation asks of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .api.client import PixverseAPI
from .models import GenerationOptions, TransitionOptions

__all__ = ["Account", "GenerationOptions", "PixverseClient", "TransitionOptions"]


@dataclass
class Account:
    """Whose session it is."""

    email: str
    session: dict[str, Any] = field(default_factory=dict[str, Any])


class PixverseClient:
    """What a provider's adapter talks to; it blocks, and is called in threads."""

    def __init__(self, email: str, session: dict[str, Any]) -> None:
        self.account = Account(email, session)
        self.api = PixverseAPI()

    def create(self, prompt: str, image_url: str | None = None, **options: Any) -> Any:
        """Asks for a video."""
        return self.api.create_video(prompt, image_url, options, self.account)

    def get_video(self, video_id: str) -> Any:
        """A video as it is now."""
        return self.api.get_video(video_id, self.account)


def infer_video_dimensions(quality: str, aspect_ratio: str | None = None) -> tuple[int, int]:
    """The size of a video, near enough."""
    height = int(quality.removesuffix("p"))
    wide, high = (int(part) for part in (aspect_ratio or "16:9").split(":"))
    return height * wide // high, height


def get_video_operation_fields(operation: str) -> list[str]:
    """Which options an operation takes."""
    return ["model", "quality", "duration", "seed", "aspect_ratio", "motion_mode"]
