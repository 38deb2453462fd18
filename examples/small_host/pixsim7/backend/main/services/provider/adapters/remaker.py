"""The Remaker provider: edits images, with one create and one read endpoint an editor."""

from typing import Any

import httpx

from pixsim7.backend.main.domain import ProviderAccount
from pixsim7.backend.main.domain.enums import OperationType, ProviderStatus
from pixsim7.backend.main.services.provider.base import (
    GenerationResult,
    Provider,
    ProviderStatusResult,
)
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.errors import ProviderContentFilteredError, ProviderError

API_BASE = "/api/pai/v4"
PENDING_CODE = 300_102
REFUSED_CODE = 300_500


class RemakerProvider(Provider):
    @property
    def provider_id(self) -> str:
        return "remaker"

    @property
    def supported_operations(self) -> list[OperationType]:
        return [OperationType.IMAGE_TO_IMAGE]

    def map_parameters(
        self, operation_type: OperationType, params: dict[str, Any]
    ) -> dict[str, Any]:
        return dict(params)

    def _build_headers(self, account: ProviderAccount) -> dict[str, str]:
        return {"authorization": account.jwt_token or ""}

    async def execute(
        self, operation_type: OperationType, account: ProviderAccount, params: dict[str, Any]
    ) -> GenerationResult:
        """A mask asks for the photo editor, anything else for the prompt editor."""
        self.validate_operation(operation_type)
        if params.get("mask_url"):
            return await self._execute_photo_editor(account, params)
        return await self._execute_prompt_editor(account, params)

    async def _execute_photo_editor(
        self, account: ProviderAccount, params: dict[str, Any]
    ) -> GenerationResult:
        payload = await self._fetch_json(account, "POST", "ai-photo-editor/create-job", params)
        return self._parse_create_response(payload, "photo")

    async def _execute_prompt_editor(
        self, account: ProviderAccount, params: dict[str, Any]
    ) -> GenerationResult:
        payload = await self._fetch_json(account, "POST", "prompt-editor/create-job", params)
        return self._parse_create_response(payload, "prompt")

    @staticmethod
    def _parse_create_response(payload: dict[str, Any], editor: str) -> GenerationResult:
        if payload["code"] == REFUSED_CODE:
            raise ProviderContentFilteredError(
                "remaker", payload["message"], retryable=False, error_code="content_prompt_rejected"
            )
        job_id = f"{editor}:{payload['result']['job_id']}"
        return GenerationResult(provider_job_id=job_id, status=ProviderStatus.PROCESSING)

    async def check_status(
        self,
        account: ProviderAccount,
        provider_job_id: str,
        operation_type: OperationType | None = None,
    ) -> ProviderStatusResult:
        """The part of the id before the colon says which editor has the job."""
        editor, _, job_id = provider_job_id.partition(":")
        folder = "ai-photo-editor" if editor == "photo" else "prompt-editor"
        payload = await self._fetch_json(account, "GET", f"{folder}/get-job/{job_id}")
        if payload["code"] == PENDING_CODE:
            return ProviderStatusResult(ProviderStatus.PROCESSING)
        if payload["code"] == REFUSED_CODE:
            return ProviderStatusResult(ProviderStatus.FILTERED, error_message=payload["message"])
        url = payload["result"]["output"][0]
        return ProviderStatusResult(ProviderStatus.COMPLETED, video_url=url)

    async def _fetch_json(
        self, account: ProviderAccount, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(
                base_url=settings.provider_base_url, timeout=settings.provider_timeout_s
            ) as http:
                url = f"{API_BASE}/{path}"
                headers = self._build_headers(account)
                response = await http.request(method, url, json=body, headers=headers)
            response.raise_for_status()
        except httpx.TimeoutException as error:
            raise ProviderError("remaker did not answer", error_code="provider_timeout") from error
        except httpx.HTTPError as error:
            raise ProviderError(str(error), error_code="provider_unavailable") from error
        return response.json()
