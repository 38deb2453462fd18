"""The Sora provider: its client is synchronous, so every call runs in a thread."""

import asyncio
from typing import Any

import requests

from pixsim7.backend.main.domain import ProviderAccount
from pixsim7.backend.main.domain.enums import OperationType, ProviderStatus
from pixsim7.backend.main.services.provider.base import (
    GenerationResult,
    Provider,
    ProviderStatusResult,
)
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.errors import ProviderContentFilteredError, ProviderError

TASK_STATES = {
    "queued": ProviderStatus.PENDING,
    "running": ProviderStatus.PROCESSING,
    "succeeded": ProviderStatus.COMPLETED,
    "rejected": ProviderStatus.FILTERED,
}


class SoraClient:
    def __init__(self, token: str):
        self._headers = {"Authorization": f"Bearer {token}"}

    def create_task(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", "/sora/v1/tasks", body)

    def get_task(self, task_id: str) -> dict[str, Any]:
        return self._call("GET", f"/sora/v1/tasks/{task_id}")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = requests.request(
            method,
            settings.provider_base_url + path,
            json=body,
            headers=self._headers,
            timeout=settings.provider_timeout_s,
        )
        response.raise_for_status()
        return response.json()


class SoraProvider(Provider):
    @property
    def provider_id(self) -> str:
        return "sora"

    @property
    def supported_operations(self) -> list[OperationType]:
        return [OperationType.TEXT_TO_VIDEO, OperationType.IMAGE_TO_VIDEO]

    def map_parameters(
        self, operation_type: OperationType, params: dict[str, Any]
    ) -> dict[str, Any]:
        return {"model": "sora-2", "operation": operation_type.value, **params}

    def _create_client(self, account: ProviderAccount) -> SoraClient:
        return SoraClient(account.jwt_token or "")

    async def execute(
        self, operation_type: OperationType, account: ProviderAccount, params: dict[str, Any]
    ) -> GenerationResult:
        self.validate_operation(operation_type)
        task = await self._in_thread(self._create_client(account).create_task, params)
        if task["state"] == "rejected":
            raise ProviderContentFilteredError(
                "sora", task["reason"], retryable=False, error_code="content_prompt_rejected"
            )
        return GenerationResult(provider_job_id=task["id"], status=TASK_STATES[task["state"]])

    async def check_status(
        self,
        account: ProviderAccount,
        provider_job_id: str,
        operation_type: OperationType | None = None,
    ) -> ProviderStatusResult:
        task = await self._in_thread(self._create_client(account).get_task, provider_job_id)
        return ProviderStatusResult(
            status=TASK_STATES[task["state"]],
            video_url=task.get("url"),
            error_message=task.get("reason"),
        )

    @staticmethod
    async def _in_thread(function: Any, argument: Any) -> dict[str, Any]:
        try:
            return await asyncio.to_thread(function, argument)
        except requests.Timeout as error:
            raise ProviderError("sora did not answer", error_code="provider_timeout") from error
        except requests.RequestException as error:
            raise ProviderError(str(error), error_code="provider_unavailable") from error
