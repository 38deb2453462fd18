"""The tables, in one import."""

from pixsim7.backend.main.domain.assets import Asset
from pixsim7.backend.main.domain.base import Base
from pixsim7.backend.main.domain.generation import Generation
from pixsim7.backend.main.domain.providers import ProviderAccount, ProviderSubmission

__all__ = ["Asset", "Base", "Generation", "ProviderAccount", "ProviderSubmission"]
