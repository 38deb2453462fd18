"""The Pixverse provider, put together from its operations and its status reading."""

from typing import Any

from pixsim7.backend.main.domain import ProviderAccount
from pixsim7.backend.main.domain.enums import IMAGE_OPERATIONS, OperationType
from pixsim7.backend.main.services.provider.adapters.pixverse_client import PixverseClient
from pixsim7.backend.main.services.provider.adapters.pixverse_errors import raise_provider_error
from pixsim7.backend.main.services.provider.adapters.pixverse_operations import (
    PixverseOperationsMixin,
)
from pixsim7.backend.main.services.provider.adapters.pixverse_status import PixverseStatusMixin
from pixsim7.backend.main.services.provider.base import Provider


class PixverseProvider(PixverseStatusMixin, PixverseOperationsMixin, Provider):
    @property
    def provider_id(self) -> str:
        return "pixverse"

    @property
    def supported_operations(self) -> list[OperationType]:
        return list(OperationType)

    def map_parameters(
        self, operation_type: OperationType, params: dict[str, Any]
    ) -> dict[str, Any]:
        defaults: dict[str, Any] = {"model": "v5", "quality": "360p"}
        if operation_type not in IMAGE_OPERATIONS:
            defaults["duration"] = 5
        return {**defaults, **params}

    def estimate_credits(self, operation_type: OperationType, params: dict[str, Any]) -> int:
        return 2 if operation_type in IMAGE_OPERATIONS else int(params.get("duration", 5)) * 2

    async def get_credits(self, account: ProviderAccount) -> dict[str, int]:
        try:
            return {"web": await PixverseClient(account.jwt_token or "").credits()}
        except Exception as error:
            raise_provider_error(error, account.id)
