"""Users, as far as this host has them: an id and a name, and no table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class User:
    id: int
    username: str


class UserService:
    async def get_user(self, user_id: int) -> User:
        return User(user_id, f"user{user_id}")
