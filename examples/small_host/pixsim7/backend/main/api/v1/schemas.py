"""The bodies that go in and out of the routes."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pixsim7.backend.main.domain.enums import BillingState, GenerationStatus, OperationType


class GenerationConfig(BaseModel):
    """What to make; keys that are not named here pass to the provider's parameters."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    generation_type: OperationType = Field(alias="generationType")
    prompt: str | None = None
    purpose: str = "unknown"
    strategy: str = "once"
    style: dict[str, Any] = Field(default_factory=dict)
    duration: dict[str, Any] = Field(default_factory=dict)


class CreateGenerationRequest(BaseModel):
    provider_id: str = "pixverse"
    config: GenerationConfig
    force_new: bool = False
    workspace_id: int | None = None
    name: str | None = None
    description: str | None = None
    priority: int = 5
    scheduled_at: datetime | None = None
    parent_generation_id: int | None = None
    preferred_account_id: int | None = None


class FanoutRequest(BaseModel):
    provider_id: str = "pixverse"
    items: list[GenerationConfig]


class FanoutResponse(BaseModel):
    execution_id: str


class GenerationResponse(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    user_id: int
    operation_type: OperationType
    provider_id: str
    status: GenerationStatus
    deferred_action: str | None
    error_code: str | None
    error_message: str | None
    retry_count: int
    attempt_count: int
    billing_state: BillingState
    reproducible_hash: str | None
    final_prompt: str | None
    canonical_params: dict[str, Any]
    account_id: int | None
    asset_id: int | None
    parent_generation_id: int | None
    scheduled_at: datetime | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    wait_reason: str | None = None
    latest_submission_provider_job_id: str | None = None


class AccountResponse(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    provider_id: str
    status: str
    credits: int
    max_concurrent_jobs: int
    current_processing_jobs: int
    cooldown_until: datetime | None
