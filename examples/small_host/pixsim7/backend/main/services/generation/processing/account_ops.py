"""What processing does with an account: its balance, its slot, its rest after an error."""

from typing import Any

from pixsim7.backend.main.domain import ProviderAccount
from pixsim7.backend.main.services.account import AccountService
from pixsim7.backend.main.services.provider.registry import registry
from pixsim7.backend.main.shared.logging import EventLogger


async def refresh_account_credits(
    account: ProviderAccount,
    account_service: AccountService,
    gen_logger: EventLogger,
    *,
    force_refresh: bool = True,
) -> dict[str, Any]:
    """Asks the provider for the balance, stores it, and returns it by kind of credit."""
    credits = await registry.get(account.provider_id).get_credits(account)
    for credit_type, amount in credits.items():
        await account_service.set_credit(account.id, credit_type, amount)
    gen_logger.info("credits_refreshed", account_id=account.id, credits=credits)
    return credits


async def refresh_account_credits_best_effort(
    account: ProviderAccount, account_service: AccountService, gen_logger: EventLogger
) -> dict[str, Any]:
    try:
        return await refresh_account_credits(account, account_service, gen_logger)
    except Exception as error:
        gen_logger.warning("credit_refresh_failed", account_id=account.id, error=str(error))
        return {}


def has_sufficient_credits(
    credits_data: dict[str, Any] | None,
    min_credits: int = 1,
    *,
    required_credit_types: list[str] | None = None,
) -> bool:
    """Returns whether one kind of credit, among those asked for, covers the price."""
    balances = credits_data or {}
    kinds = required_credit_types or list(balances)
    return any(balances.get(kind, 0) >= min_credits for kind in kinds)


async def release_account_reservation(
    *, account_service: AccountService, account_id: int, gen_logger: EventLogger
) -> bool:
    try:
        await account_service.release_account(account_id)
        return True
    except Exception as error:
        gen_logger.warning("account_release_failed", account_id=account_id, error=str(error))
        return False


async def apply_account_cooldown(
    *,
    account_service: AccountService,
    account: ProviderAccount,
    cooldown_seconds: float,
    gen_logger: EventLogger,
    event_name: str,
) -> None:
    await account_service.cool_down(account.id, cooldown_seconds)
    gen_logger.warning(event_name, account_id=account.id, cooldown_seconds=cooldown_seconds)
