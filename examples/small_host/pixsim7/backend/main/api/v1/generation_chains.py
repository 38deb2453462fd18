"""Asks the worker for several generations at once."""

import uuid

from fastapi import APIRouter

from pixsim7.backend.main.api.dependencies import CurrentUser
from pixsim7.backend.main.api.v1.schemas import FanoutRequest, FanoutResponse
from pixsim7.backend.main.infrastructure.queue import queue_task

router = APIRouter(tags=["generation-chains"])


@router.post(
    "/generation-chains/execute-fanout-ephemeral", response_model=FanoutResponse, status_code=202
)
async def execute_ephemeral_fanout(request: FanoutRequest, user: CurrentUser) -> FanoutResponse:
    """Answers at once; the generations appear in the list when the worker made them."""
    execution_id = str(uuid.uuid4())
    items = [
        {"operation": config.generation_type.value, "config": config.model_dump(mode="json")}
        for config in request.items
    ]
    await queue_task(
        "process_ephemeral_fanout_execution",
        execution_id,
        user.id,
        {"provider_id": request.provider_id, "items": items},
        _job_id=f"chain-exec:{execution_id}",
    )
    return FanoutResponse(execution_id=execution_id)
