from pixsim7.backend.main.domain.assets.models import Asset

__all__ = ["Asset"]
