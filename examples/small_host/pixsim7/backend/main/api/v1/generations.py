"""The routes of generations: create, read, and what a person may do to one."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from pixsim7.backend.main.api.dependencies import CurrentUser, DatabaseSession, GenerationSvc
from pixsim7.backend.main.api.v1.schemas import CreateGenerationRequest, GenerationResponse
from pixsim7.backend.main.domain import Generation
from pixsim7.backend.main.domain.enums import GenerationStatus, OperationType
from pixsim7.backend.main.infrastructure.queue import enqueue_generation_retry_job
from pixsim7.backend.main.infrastructure.queue.generation_jobs import get_generation_wait_metadata
from pixsim7.backend.main.infrastructure.redis import get_arq_pool
from pixsim7.backend.main.services.generation import GenerationService
from pixsim7.backend.main.services.provider import ProviderService
from pixsim7.backend.main.services.user import User
from pixsim7.backend.main.shared.errors import InvalidOperationError
from pixsim7.backend.main.shared.logging import get_logger

router = APIRouter(tags=["generations"])
logger = get_logger(__name__)


@router.post("/generations", response_model=GenerationResponse, status_code=201)
async def create_generation(
    request: CreateGenerationRequest,
    req: Request,
    user: CurrentUser,
    generation_service: GenerationSvc,
) -> Generation:
    """Answers with a new generation, or with the one that the same request made before."""
    config: dict[str, Any] = request.config.model_dump(mode="json")
    return await generation_service.create_generation(
        user=user,
        operation_type=request.config.generation_type,
        provider_id=request.provider_id,
        params={"generation_config": config},
        workspace_id=request.workspace_id,
        name=request.name,
        description=request.description,
        priority=request.priority,
        scheduled_at=request.scheduled_at,
        parent_generation_id=request.parent_generation_id,
        force_new=request.force_new,
        preferred_account_id=request.preferred_account_id,
    )


@router.get("/generations/{generation_id:int}", response_model=GenerationResponse)
async def get_generation(
    generation_id: int, user: CurrentUser, generation_service: GenerationSvc, db: DatabaseSession
) -> GenerationResponse:
    generation = await generation_service.get_generation_for_user(generation_id, user)
    answer = GenerationResponse.model_validate(generation)
    submission = await ProviderService(db).get_latest_submission(generation_id)
    if submission is not None:
        answer.latest_submission_provider_job_id = submission.provider_job_id
    if generation.status == GenerationStatus.PENDING:
        answer.wait_reason = await _wait_reason(generation_id)
    return answer


async def _wait_reason(generation_id: int) -> str | None:
    """Returns why a pending generation waits; None also when Redis cannot be asked."""
    try:
        wait = await get_generation_wait_metadata(await get_arq_pool(), generation_id)
    except Exception:
        return None
    return wait["reason"] if wait else None


@router.get("/generations", response_model=list[GenerationResponse])
async def list_generations(
    user: CurrentUser,
    generation_service: GenerationSvc,
    db: DatabaseSession,
    workspace_id: int | None = None,
    status: GenerationStatus | None = None,
    operation_type: OperationType | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[Generation]:
    return await generation_service.list_generations(
        user, workspace_id, status, operation_type, limit, offset
    )


async def _generation_lifecycle_action(
    action: str, generation_id: int, user: User, generation_service: GenerationService
) -> Generation:
    method = getattr(generation_service, f"{action}_generation")
    return await method(generation_id, user)


@router.post("/generations/{generation_id:int}/cancel", response_model=GenerationResponse)
async def cancel_generation(
    generation_id: int, user: CurrentUser, generation_service: GenerationSvc
) -> Generation:
    return await _generation_lifecycle_action("cancel", generation_id, user, generation_service)


@router.post("/generations/{generation_id:int}/pause", response_model=GenerationResponse)
async def pause_generation(
    generation_id: int, user: CurrentUser, generation_service: GenerationSvc
) -> Generation:
    return await _generation_lifecycle_action("pause", generation_id, user, generation_service)


@router.post("/generations/{generation_id:int}/resume", response_model=GenerationResponse)
async def resume_generation(
    generation_id: int, user: CurrentUser, generation_service: GenerationSvc
) -> Generation:
    return await _generation_lifecycle_action("resume", generation_id, user, generation_service)


@router.post("/generations/{generation_id:int}/retry", response_model=GenerationResponse)
async def retry_generation(
    generation_id: int, user: CurrentUser, generation_service: GenerationSvc, db: DatabaseSession
) -> Generation:
    """Starts the same generation again: same row, one retry more."""
    generation = await generation_service.get_generation_for_user(generation_id, user)
    if generation.status not in (GenerationStatus.FAILED, GenerationStatus.CANCELLED):
        raise InvalidOperationError(f"A {generation.status.value} generation is not retried")
    generation.status = GenerationStatus.PENDING
    generation.retry_count += 1
    generation.error_message = generation.error_code = generation.deferred_action = None
    generation.started_at = generation.completed_at = None
    await db.commit()
    await enqueue_generation_retry_job(await get_arq_pool(), generation_id)
    logger.info("manual_retry_requeued", generation_id=generation_id)
    return generation
