"""Fetches a finished file from the provider's store into the media folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import httpx

from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)


@dataclass(frozen=True)
class DownloadedFile:
    path: Path
    size_bytes: int
    sha256: str


async def download_file(url: str, asset_id: int) -> DownloadedFile:
    """Returns the stored file. Raises: httpx.HTTPError."""
    async with httpx.AsyncClient(timeout=settings.provider_timeout_s) as http:
        response = await http.get(url)
    response.raise_for_status()
    folder = Path(settings.media_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"asset-{asset_id}{Path(url).suffix}"
    path.write_bytes(response.content)
    logger.info("download_completed", asset_id=asset_id, size_bytes=len(response.content))
    return DownloadedFile(path, len(response.content), hashlib.sha256(response.content).hexdigest())
