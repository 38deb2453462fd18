"""The errors that services raise; a provider error says whether another try can help."""


class PixSimError(Exception):
    """Root of the host's own errors."""

    def __init__(self, message: str, code: str | None = None):
        super().__init__(message)
        self.message = message
        self.code = code


class ResourceNotFoundError(PixSimError):
    def __init__(self, resource: str, resource_id: int | str):
        super().__init__(f"{resource} {resource_id} not found", code="NOT_FOUND")


class InvalidOperationError(PixSimError):
    def __init__(self, message: str):
        super().__init__(message, code="INVALID_OPERATION")


class QuotaError(PixSimError):
    def __init__(self, message: str):
        super().__init__(message, code="QUOTA")


class NoAccountAvailableError(PixSimError):
    """No account has a free slot now; waiting helps."""

    def __init__(self, provider_id: str):
        super().__init__(f"No account available for {provider_id}", code="NO_ACCOUNT_AVAILABLE")
        self.provider_id = provider_id


class AccountExhaustedError(PixSimError):
    """Every account of the provider is out of credits."""

    def __init__(self, account_id: int, provider_id: str):
        super().__init__(f"Account {account_id} of {provider_id} has no credits")
        self.account_id = account_id
        self.provider_id = provider_id


class ProviderError(PixSimError):
    """A provider refused or failed; `error_code` is what the generation will carry."""

    def __init__(
        self,
        message: str,
        code: str | None = None,
        *,
        error_code: str | None = None,
        retryable: bool = True,
    ):
        super().__init__(message, code=code)
        self.error_code = error_code
        self.retryable = retryable


class ProviderNotFoundError(ProviderError):
    def __init__(self, provider_id: str):
        super().__init__(f"No provider {provider_id!r}", "PROVIDER_NOT_FOUND", retryable=False)


class ProviderAuthenticationError(ProviderError):
    def __init__(self, provider_id: str, message: str | None = None):
        text = f"{provider_id} refused the session: {message or 'no reason given'}"
        super().__init__(text, "PROVIDER_AUTH_FAILED", error_code="provider_auth", retryable=False)


class ProviderQuotaExceededError(ProviderError):
    def __init__(self, provider_id: str, credits_needed: int = 0):
        text = f"{provider_id} reports too few credits"
        super().__init__(text, "PROVIDER_QUOTA", error_code="provider_quota", retryable=False)
        self.credits_needed = credits_needed


class ProviderConcurrentLimitError(ProviderError):
    def __init__(self, provider_id: str, account_id: int | None = None):
        super().__init__(
            f"{provider_id} is running as many jobs as this account may have",
            "PROVIDER_CONCURRENT_LIMIT",
            error_code="provider_concurrent_limit",
        )
        self.account_id = account_id


class ProviderContentFilteredError(ProviderError):
    def __init__(
        self,
        provider_id: str,
        reason: str | None = None,
        *,
        retryable: bool = True,
        error_code: str | None = None,
    ):
        super().__init__(
            f"{provider_id} filtered the content: {reason or 'no reason given'}",
            "PROVIDER_CONTENT_FILTERED",
            error_code=error_code or "content_filtered",
            retryable=retryable,
        )


class ProviderJobNotFoundError(ProviderError):
    def __init__(self, provider_id: str, provider_job_id: str):
        text = f"{provider_id} knows no job {provider_job_id}"
        super().__init__(text, "PROVIDER_JOB_NOT_FOUND", retryable=False)


class UnsupportedOperationError(ProviderError):
    def __init__(self, provider_id: str, operation: str):
        text = f"{provider_id} cannot do {operation}"
        super().__init__(text, error_code="param_invalid", retryable=False)
