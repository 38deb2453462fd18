from pixsim7.backend.main.domain.generation.models import Generation

__all__ = ["Generation"]
