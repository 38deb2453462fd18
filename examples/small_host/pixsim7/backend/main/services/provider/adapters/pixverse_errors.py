"""Turns what the Pixverse client raises into the host's provider errors."""

from typing import NoReturn

import httpx

from pixsim7.backend.main.services.provider.adapters.pixverse_client import PixverseAPIError
from pixsim7.backend.main.shared.errors import (
    ProviderAuthenticationError,
    ProviderConcurrentLimitError,
    ProviderContentFilteredError,
    ProviderError,
    ProviderQuotaExceededError,
)


def raise_provider_error(error: Exception, account_id: int | None = None) -> NoReturn:
    """Raises the provider error for `error`; one that already is such passes as it is."""
    if isinstance(error, ProviderError):
        raise error
    if isinstance(error, httpx.TimeoutException):
        text = f"pixverse did not answer in time ({type(error).__name__})"
        raise ProviderError(text, error_code="provider_timeout") from error
    if isinstance(error, httpx.HTTPError):
        raise ProviderError(str(error), error_code="provider_unavailable") from error
    if not isinstance(error, PixverseAPIError):
        raise ProviderError(str(error), error_code="provider_generic") from error
    text = str(error)
    match error.code:
        case None:
            raise ProviderError(text, error_code="provider_unavailable") from error
        case 500063:  # prompt refused
            raise ProviderContentFilteredError(
                "pixverse", text, retryable=False, error_code="content_prompt_rejected"
            ) from error
        case 500054:  # filtered, another try may pass
            raise ProviderContentFilteredError("pixverse", text) from error
        case 500044:  # too many jobs at once
            raise ProviderConcurrentLimitError("pixverse", account_id) from error
        case 500090:  # out of credits
            raise ProviderQuotaExceededError("pixverse") from error
        case 10005:  # session is dead
            raise ProviderAuthenticationError("pixverse", text) from error
        case _:
            raise ProviderError(text, error_code="provider_generic") from error
