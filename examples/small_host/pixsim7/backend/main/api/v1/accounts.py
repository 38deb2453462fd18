"""A look at the provider accounts."""

from fastapi import APIRouter

from pixsim7.backend.main.api.dependencies import AccountSvc, CurrentUser
from pixsim7.backend.main.api.v1.schemas import AccountResponse
from pixsim7.backend.main.domain import ProviderAccount

router = APIRouter(tags=["accounts"])


@router.get("/accounts", response_model=list[AccountResponse])
async def list_accounts(
    user: CurrentUser, account_service: AccountSvc, provider_id: str | None = None
) -> list[ProviderAccount]:
    return await account_service.list_accounts(provider_id)
