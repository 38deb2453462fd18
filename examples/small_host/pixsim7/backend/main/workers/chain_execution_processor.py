"""Makes generations inside the worker: no request stands behind each of them."""

from typing import Any

from pixsim7.backend.main.domain.enums import OperationType
from pixsim7.backend.main.infrastructure.database.session import get_async_session
from pixsim7.backend.main.services.generation.creation import GenerationCreationService
from pixsim7.backend.main.services.user import UserService


async def process_ephemeral_fanout_execution(
    ctx: dict, execution_id: str, user_id: int, request_payload: dict[str, Any]
) -> dict:
    """Creates one generation for each item of the payload, whatever came of the others."""
    created: list[int] = []
    errors: list[str] = []
    async with get_async_session() as db:
        users = UserService()
        user = await users.get_user(user_id)
        for item in request_payload["items"]:
            try:
                generation = await GenerationCreationService(db, users).create_generation(
                    user=user,
                    operation_type=OperationType(item["operation"]),
                    provider_id=request_payload["provider_id"],
                    params={"generation_config": item["config"]},
                    force_new=True,
                )
                created.append(generation.id)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
    return {"execution_id": execution_id, "generation_ids": created, "errors": errors}
