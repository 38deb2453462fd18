"""Options as the adapter builds them, and names that it only imports."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class GenerationOptions(BaseModel):
    """Whatever options are given."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class TransitionOptions(GenerationOptions):
    """The same."""


class _Names:
    """A set of names; empty."""

    ALL: list[Any] = []  # noqa: RUF012


class VideoModel(_Names):
    """Models of videos."""


class ImageModel(_Names):
    """Models of images."""


class CameraMovement(_Names):
    """Movements of the camera."""
