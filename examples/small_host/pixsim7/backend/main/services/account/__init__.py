from pixsim7.backend.main.services.account.account_service import AccountService

__all__ = ["AccountService"]
