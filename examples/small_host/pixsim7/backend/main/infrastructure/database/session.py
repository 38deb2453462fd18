"""The engine, its sessions, and the tables with the accounts that the host starts with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from pixsim7.backend.main.domain import Base, ProviderAccount
from pixsim7.backend.main.shared.config import settings

engine = create_async_engine(settings.database_url, pool_pre_ping=False)
AsyncSessionLocal = async_sessionmaker(engine, expire_on_commit=False)

if engine.dialect.name == "sqlite":

    @event.listens_for(engine.sync_engine, "connect")
    def _share_between_processes(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with AsyncSessionLocal() as session:
        yield session


@asynccontextmanager
async def get_async_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSessionLocal() as session:
        yield session


async def prepare_database() -> None:
    """Creates tables and accounts; API and worker may both try at the same moment."""
    for attempt in range(10):
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            await _seed_accounts()
            return
        except SQLAlchemyError:
            if attempt == 9:
                raise
            await asyncio.sleep(0.3)


async def _seed_accounts() -> None:
    async with AsyncSessionLocal() as db:
        if await db.scalar(select(func.count()).select_from(ProviderAccount)):
            return
        for provider_id in ("pixverse", "sora", "remaker"):
            for number in range(1, settings.account_count + 1):
                account = ProviderAccount(
                    provider_id=provider_id,
                    email=f"{provider_id}{number}@example.com",
                    jwt_token=f"jwt-{provider_id}-{number}",
                    max_concurrent_jobs=settings.account_slots,
                    credits=100,
                )
                db.add(account)
        await db.commit()
