from pixsim7.backend.main.services.provider.provider_service import ProviderService

__all__ = ["ProviderService"]
