"""Reads job status from Pixverse: one job, or a whole account from one list."""

from typing import TYPE_CHECKING

from pixsim7.backend.main.domain import ProviderAccount
from pixsim7.backend.main.domain.enums import IMAGE_OPERATIONS, OperationType, ProviderStatus
from pixsim7.backend.main.services.provider.adapters.pixverse_client import (
    PixverseClient,
    PixverseJob,
)
from pixsim7.backend.main.services.provider.adapters.pixverse_errors import raise_provider_error
from pixsim7.backend.main.services.provider.base import ProviderStatusResult
from pixsim7.backend.main.shared.errors import ProviderJobNotFoundError

if TYPE_CHECKING:
    from pixsim7.backend.main.services.provider.base import Provider as _Host
else:
    _Host = object

STATUS_CODES = {
    1: ProviderStatus.COMPLETED,
    5: ProviderStatus.PROCESSING,
    7: ProviderStatus.FILTERED,
    8: ProviderStatus.FAILED,
}


class PixverseStatusMixin(_Host):
    def _map_pixverse_status(self, pv_video: PixverseJob) -> ProviderStatus:
        return STATUS_CODES.get(pv_video.status, ProviderStatus.PROCESSING)

    async def check_status(
        self,
        account: ProviderAccount,
        provider_job_id: str,
        operation_type: OperationType | None = None,
    ) -> ProviderStatusResult:
        """Looks into the account's messages first; the list is read for a finished job only."""
        client = PixverseClient(account.jwt_token or "")
        try:
            finished = await client.finished_ids()
        except Exception as error:
            raise_provider_error(error, account.id)
        if provider_job_id not in finished:
            return ProviderStatusResult(ProviderStatus.PROCESSING)
        if operation_type in IMAGE_OPERATIONS:
            return await self.check_image_status_from_list(account, provider_job_id)
        return await self.check_video_status_from_list(account, provider_job_id)

    async def check_video_status_from_list(
        self,
        account: ProviderAccount,
        video_id: str,
        *,
        limit: int = 200,
        offset: int = 0,
        max_pages: int = 8,
    ) -> ProviderStatusResult:
        return await self._scan("video", account, video_id, limit, offset, max_pages)

    async def check_image_status_from_list(
        self,
        account: ProviderAccount,
        image_id: str,
        *,
        limit: int = 200,
        offset: int = 0,
        max_pages: int = 3,
    ) -> ProviderStatusResult:
        return await self._scan("image", account, image_id, limit, offset, max_pages)

    async def check_video_statuses_from_list(
        self, account: ProviderAccount, *, limit: int = 200, offset: int = 0
    ) -> dict[str, ProviderStatusResult]:
        return await self._list("video", account, limit, offset)

    async def check_image_statuses_from_list(
        self, account: ProviderAccount, *, limit: int = 200, offset: int = 0
    ) -> dict[str, ProviderStatusResult]:
        return await self._list("image", account, limit, offset)

    async def _scan(
        self, kind: str, account: ProviderAccount, job_id: str, limit: int, offset: int, pages: int
    ) -> ProviderStatusResult:
        for page in range(pages):
            found = await self._list(kind, account, limit, offset + page * limit)
            if job_id in found:
                return found[job_id]
            if len(found) < limit:
                break
        raise ProviderJobNotFoundError("pixverse", job_id)

    async def _list(
        self, kind: str, account: ProviderAccount, limit: int, offset: int
    ) -> dict[str, ProviderStatusResult]:
        try:
            jobs = await PixverseClient(account.jwt_token or "").list_jobs(kind, limit, offset)
        except Exception as error:
            raise_provider_error(error, account.id)
        return {
            job.id: ProviderStatusResult(
                status=self._map_pixverse_status(job),
                video_url=job.url,
                thumbnail_url=job.thumbnail,
                duration_sec=job.duration,
                provider_video_id=job.id,
            )
            for job in jobs
        }
