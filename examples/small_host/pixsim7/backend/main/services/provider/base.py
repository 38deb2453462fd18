"""What every provider adapter offers, and the two results it gives."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from pixsim7.backend.main.domain import ProviderAccount
from pixsim7.backend.main.domain.enums import OperationType, ProviderStatus
from pixsim7.backend.main.shared.errors import UnsupportedOperationError


@dataclass
class GenerationResult:
    """The provider took the job; `provider_job_id` names it from now on."""

    provider_job_id: str
    provider_video_id: str | None = None
    status: ProviderStatus = ProviderStatus.PENDING
    video_url: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class ProviderStatusResult:
    status: ProviderStatus
    video_url: str | None = None
    thumbnail_url: str | None = None
    progress: float | None = None
    error_message: str | None = None
    duration_sec: float | None = None
    provider_video_id: str | None = None


class Provider(ABC):
    @property
    @abstractmethod
    def provider_id(self) -> str: ...

    @property
    @abstractmethod
    def supported_operations(self) -> list[OperationType]: ...

    @abstractmethod
    def map_parameters(
        self, operation_type: OperationType, params: dict[str, Any]
    ) -> dict[str, Any]: ...

    @abstractmethod
    async def execute(
        self, operation_type: OperationType, account: ProviderAccount, params: dict[str, Any]
    ) -> GenerationResult: ...

    @abstractmethod
    async def check_status(
        self,
        account: ProviderAccount,
        provider_job_id: str,
        operation_type: OperationType | None = None,
    ) -> ProviderStatusResult: ...

    async def get_credits(self, account: ProviderAccount) -> dict[str, int]:
        """Returns the balance by kind of credit; providers without any say 100."""
        return {"web": 100}

    def validate_operation(self, operation_type: OperationType) -> None:
        if operation_type not in self.supported_operations:
            raise UnsupportedOperationError(self.provider_id, operation_type.value)

    def estimate_credits(self, operation_type: OperationType, params: dict[str, Any]) -> int:
        return 1
