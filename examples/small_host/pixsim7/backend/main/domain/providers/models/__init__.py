from pixsim7.backend.main.domain.providers.models.account import ProviderAccount
from pixsim7.backend.main.domain.providers.models.submission import ProviderSubmission

__all__ = ["ProviderAccount", "ProviderSubmission"]
