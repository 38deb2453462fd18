from pixsim7.backend.main.domain.providers.models import ProviderAccount, ProviderSubmission

__all__ = ["ProviderAccount", "ProviderSubmission"]
