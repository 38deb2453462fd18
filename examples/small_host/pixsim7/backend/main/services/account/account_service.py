"""Chooses accounts and holds their job slots; every claim is one conditional UPDATE."""

from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import ProviderAccount
from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.domain.enums import AccountStatus
from pixsim7.backend.main.shared.errors import (
    AccountExhaustedError,
    NoAccountAvailableError,
    ResourceNotFoundError,
)


class AccountService:
    def __init__(self, db: AsyncSession):
        self.db = db

    async def select_account(
        self,
        provider_id: str,
        user_id: int | None = None,
        required_credits: int | None = None,
        operation_type: str | None = None,
        model: str | None = None,
        ignore_availability: bool = False,
    ) -> ProviderAccount:
        """Returns the least busy account, reserving nothing."""
        accounts = await self._candidates(provider_id, required_credits, None)
        free = [a for a in accounts if ignore_availability or self._has_slot(a)]
        if not free:
            raise NoAccountAvailableError(provider_id)
        return free[0]

    async def select_and_reserve_account(
        self,
        provider_id: str,
        user_id: int | None = None,
        include_exhausted: bool = False,
        min_credits: int | None = None,
        required_credit_types: list[str] | None = None,
        exclude_account_ids: list[int] | None = None,
        operation_type: str | None = None,
        model: str | None = None,
    ) -> ProviderAccount:
        """Returns an account with one slot taken.

        Raises: NoAccountAvailableError when none has a slot now; AccountExhaustedError when
        none has credits left.
        """
        accounts = await self._candidates(provider_id, min_credits, exclude_account_ids)
        active = [a for a in accounts if include_exhausted or a.status == AccountStatus.ACTIVE]
        if accounts and not active:
            raise AccountExhaustedError(accounts[0].id, provider_id)
        for account in active:
            reserved = await self.reserve_account_if_available(account.id, require_active=True)
            if reserved is not None:
                return reserved
        raise NoAccountAvailableError(provider_id)

    async def reserve_account(self, account_id: int) -> ProviderAccount:
        """Takes a slot, even beyond the account's limit."""
        return await self._add_job(account_id, 1)

    async def reserve_account_if_available(
        self,
        account_id: int,
        *,
        require_active: bool = False,
        include_exhausted: bool = False,
        now: datetime | None = None,
        skip_locked: bool = False,
    ) -> ProviderAccount | None:
        """Takes a slot, or returns None: full, cooling down, or not active."""
        now = now or utcnow()
        cooled = or_(ProviderAccount.cooldown_until.is_(None), ProviderAccount.cooldown_until < now)
        slots = ProviderAccount.current_processing_jobs < ProviderAccount.max_concurrent_jobs
        statement = update(ProviderAccount).where(ProviderAccount.id == account_id, cooled, slots)
        if require_active and not include_exhausted:
            statement = statement.where(ProviderAccount.status == AccountStatus.ACTIVE)
        taken = ProviderAccount.current_processing_jobs + 1
        result = await self.db.execute(
            statement.values(current_processing_jobs=taken).returning(ProviderAccount.id)
        )
        found = result.scalar_one_or_none()
        await self.db.commit()
        return await self.get_account(account_id) if found is not None else None

    async def release_account(self, account_id: int, *, skip_wake: bool = False) -> ProviderAccount:
        """Gives a slot back. Waiting generations wake by themselves: `skip_wake` is unused."""
        return await self._add_job(account_id, -1)

    async def get_account(self, account_id: int) -> ProviderAccount:
        account = await self.db.get(ProviderAccount, account_id, populate_existing=True)
        if account is None:
            raise ResourceNotFoundError("ProviderAccount", account_id)
        return account

    async def list_accounts(self, provider_id: str | None = None) -> list[ProviderAccount]:
        query = select(ProviderAccount).order_by(ProviderAccount.id)
        if provider_id is not None:
            query = query.where(ProviderAccount.provider_id == provider_id)
        return list((await self.db.scalars(query)).all())

    async def set_credit(self, account_id: int, credit_type: str, amount: int) -> ProviderAccount:
        """Stores the balance; an exhausted account that has credits again is active again."""
        account = await self.get_account(account_id)
        account.credits = amount
        if amount > 0 and account.status == AccountStatus.EXHAUSTED:
            account.status = AccountStatus.ACTIVE
        await self.db.commit()
        return account

    async def mark_exhausted(self, account_id: int) -> ProviderAccount:
        account = await self.get_account(account_id)
        account.status = AccountStatus.EXHAUSTED
        await self.db.commit()
        return account

    async def cool_down(self, account_id: int, seconds: float) -> None:
        account = await self.get_account(account_id)
        account.cooldown_until = utcnow() + timedelta(seconds=seconds)
        await self.db.commit()

    async def _candidates(
        self, provider_id: str, min_credits: int | None, excluded: list[int] | None
    ) -> list[ProviderAccount]:
        query = select(ProviderAccount).where(
            ProviderAccount.provider_id == provider_id,
            ProviderAccount.status != AccountStatus.DISABLED,
        )
        if excluded:
            query = query.where(ProviderAccount.id.not_in(excluded))
        query = query.order_by(ProviderAccount.current_processing_jobs, ProviderAccount.id)
        accounts = (await self.db.scalars(query)).all()
        rich = [a for a in accounts if a.credits >= (min_credits or 0)]
        if accounts and not rich:
            raise AccountExhaustedError(accounts[0].id, provider_id)
        return rich

    @staticmethod
    def _has_slot(account: ProviderAccount) -> bool:
        cool = account.cooldown_until is None or account.cooldown_until < utcnow()
        return cool and account.current_processing_jobs < account.max_concurrent_jobs

    async def _add_job(self, account_id: int, step: int) -> ProviderAccount:
        jobs = ProviderAccount.current_processing_jobs
        await self.db.execute(
            update(ProviderAccount)
            .where(ProviderAccount.id == account_id, jobs + step >= 0)
            .values(current_processing_jobs=jobs + step)
        )
        await self.db.commit()
        return await self.get_account(account_id)
