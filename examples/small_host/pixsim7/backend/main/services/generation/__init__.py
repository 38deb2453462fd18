from pixsim7.backend.main.services.generation.service import GenerationService

__all__ = ["GenerationService"]
