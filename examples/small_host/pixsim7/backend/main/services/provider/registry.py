"""The providers that this process knows, by name."""

from pixsim7.backend.main.services.provider.adapters.pixverse import PixverseProvider
from pixsim7.backend.main.services.provider.adapters.remaker import RemakerProvider
from pixsim7.backend.main.services.provider.adapters.sora import SoraProvider
from pixsim7.backend.main.services.provider.base import Provider
from pixsim7.backend.main.shared.errors import ProviderNotFoundError


class ProviderRegistry:
    def __init__(self, *providers: Provider) -> None:
        self._providers = {provider.provider_id: provider for provider in providers}

    def get(self, provider_id: str) -> Provider:
        try:
            return self._providers[provider_id]
        except KeyError:
            raise ProviderNotFoundError(provider_id) from None


registry = ProviderRegistry(PixverseProvider(), SoraProvider(), RemakerProvider())
