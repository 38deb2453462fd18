"""How a revision of the host wants to be asked for a generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """How this revision wants to be asked."""

    type_key: str
    type_name: str

    @classmethod
    def of(cls, checkout: Path) -> Request:
        """Reads from the checkout which of two ways it is."""
        schema = checkout / "pixsim7/backend/main/shared/schemas/generation_schemas.py"
        if 'alias="generationType"' in schema.read_text(encoding="utf-8"):
            return cls("generationType", "text_to_video")
        return cls("generation_type", "variation")

    def config(self, prompt: str) -> dict[str, Any]:
        """A generation's configuration."""
        return {
            self.type_key: self.type_name,
            "purpose": "variation",
            "style": {"pacing": "medium", "pixverse": {"model": "v5", "quality": "360p"}},
            "duration": {"target": 5},
            "constraints": {"rating": "PG"},
            "strategy": "once",
            "fallback": {"mode": "skip"},
            "prompt": prompt,
        }
