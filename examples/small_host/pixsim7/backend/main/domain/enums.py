"""The host's vocabulary: statuses, operations and error codes, stored as lower-case strings.

The real host's enums are (str, Enum) too: their str() is the member's name, not its value.
"""
# ruff: noqa: UP042

from enum import Enum


class GenerationStatus(str, Enum):
    PENDING = "pending"
    PROCESSING = "processing"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL_STATUSES = frozenset(
    {GenerationStatus.COMPLETED, GenerationStatus.FAILED, GenerationStatus.CANCELLED}
)


class OperationType(str, Enum):
    TEXT_TO_IMAGE = "text_to_image"
    IMAGE_TO_IMAGE = "image_to_image"
    TEXT_TO_VIDEO = "text_to_video"
    IMAGE_TO_VIDEO = "image_to_video"
    VIDEO_EXTEND = "video_extend"
    VIDEO_TRANSITION = "video_transition"
    VIDEO_MODIFY = "video_modify"
    FUSION = "fusion"


IMAGE_OPERATIONS = frozenset({OperationType.TEXT_TO_IMAGE, OperationType.IMAGE_TO_IMAGE})


class AccountStatus(str, Enum):
    ACTIVE = "active"
    EXHAUSTED = "exhausted"
    DISABLED = "disabled"


class ProviderStatus(str, Enum):
    """What a provider says of a job, whatever words it uses itself."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    FILTERED = "filtered"
    CANCELLED = "cancelled"


class BillingState(str, Enum):
    PENDING = "pending"
    CHARGED = "charged"
    SKIPPED = "skipped"


class GenerationErrorCode(str, Enum):
    CONTENT_PROMPT_REJECTED = "content_prompt_rejected"
    CONTENT_FILTERED = "content_filtered"
    PARAM_INVALID = "param_invalid"
    PARAM_MISSING = "param_missing"
    PROVIDER_QUOTA = "provider_quota"
    PROVIDER_CONCURRENT_LIMIT = "provider_concurrent_limit"
    PROVIDER_AUTH = "provider_auth"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_GENERIC = "provider_generic"


RETRYABLE_ERROR_CODES = frozenset(
    {
        GenerationErrorCode.CONTENT_FILTERED,
        GenerationErrorCode.PROVIDER_QUOTA,
        GenerationErrorCode.PROVIDER_CONCURRENT_LIMIT,
        GenerationErrorCode.PROVIDER_TIMEOUT,
        GenerationErrorCode.PROVIDER_UNAVAILABLE,
        GenerationErrorCode.PROVIDER_GENERIC,
    }
)
