"""What routes ask for: a session, the user, and the services on them."""

from typing import Annotated

from fastapi import Depends, Header
from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.infrastructure.database.session import get_db
from pixsim7.backend.main.services.account import AccountService
from pixsim7.backend.main.services.generation import GenerationService
from pixsim7.backend.main.services.user import User, UserService

DatabaseSession = Annotated[AsyncSession, Depends(get_db)]


async def get_current_user(x_user: Annotated[int, Header()] = 1) -> User:
    """Believes the `X-User` header; without one, everybody is user 1."""
    return await UserService().get_user(x_user)


def get_generation_service(db: DatabaseSession) -> GenerationService:
    return GenerationService(db, UserService())


def get_account_service(db: DatabaseSession) -> AccountService:
    return AccountService(db)


CurrentUser = Annotated[User, Depends(get_current_user)]
GenerationSvc = Annotated[GenerationService, Depends(get_generation_service)]
AccountSvc = Annotated[AccountService, Depends(get_account_service)]
