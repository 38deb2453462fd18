"""Runs in the host's own environment: makes its tables and its first rows.

It is a script, started with the checkout on the path: `python seed.py FACTS.json`. The tables come
from the host's models, since no chain of its migrations gives all that the models ask for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import json
import os
import pkgutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOST = "pixsim7.backend.main"


def models() -> dict[str, Any]:
    """Imports the whole application, so that every table is known; the models by their names."""
    importlib.import_module(f"{HOST}.main")
    registry: Any = importlib.import_module(f"{HOST}.infrastructure.domain_registry")
    settings = importlib.import_module(f"{HOST}.shared.config").settings
    registry.init_domain_registry(str(settings.domain_models_dir))
    domain: Any = importlib.import_module(f"{HOST}.domain")
    for module in pkgutil.walk_packages(domain.__path__, f"{HOST}.domain.", lambda _: None):
        with contextlib.suppress(Exception):
            importlib.import_module(module.name)  # some are imported only when they are needed
    base: Any = importlib.import_module("sqlmodel").SQLModel
    mappers = base._sa_registry.mappers
    return {mapper.class_.__name__: mapper.class_ for mapper in mappers}


def without_vectors() -> None:
    """Lets vector columns be texts where PostgreSQL has no such type; none is filled here."""
    try:
        vector: Any = importlib.import_module("pgvector.sqlalchemy")
    except ImportError:
        return
    for name in ("VECTOR", "Vector", "HALFVEC", "SPARSEVEC", "BIT"):
        if (kind := getattr(vector, name, None)) is not None:
            kind.get_col_spec = lambda self, **_: "TEXT"


def make_tables(url: str) -> list[str]:
    """Makes schemas, types, tables and indexes, one by one; what failed and does not matter."""
    sa: Any = importlib.import_module("sqlalchemy")
    schema: Any = importlib.import_module("sqlalchemy.schema")
    base: Any = importlib.import_module("sqlmodel").SQLModel
    engine = sa.create_engine(url)
    failed: list[str] = []

    def attempt(what: str, action: Callable[[Any], Any]) -> None:
        try:
            with engine.begin() as connection:
                action(connection)
        except Exception as error:
            failed.append(f"{what}: {str(error).splitlines()[0][:160]}")

    for extension in ("pg_trgm", "vector"):
        text = sa.text(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        attempt(f"extension {extension}", lambda c, text=text: c.execute(text))
    if any(each.startswith("extension vector") for each in failed):
        without_vectors()
    for name in sorted({t.schema for t in base.metadata.tables.values() if t.schema}):
        text = sa.text(f'CREATE SCHEMA IF NOT EXISTS "{name}"')
        attempt(f"schema {name}", lambda c, text=text: c.execute(text))
    tables = list(base.metadata.tables.values())
    for column in (column for table in tables for column in table.columns):
        if isinstance(column.type, sa.types.NullType):  # a migration alone knows its type
            column.type = sa.Text()
    indexes = {table.name: list(table.indexes) for table in tables}
    for table in tables:
        table.indexes.clear()
        for constraint in list(table.foreign_key_constraints):
            constraint.use_alter = True
    for table in tables:
        attempt(f"table {table.name}", lambda c, t=table: t.create(c, checkfirst=True))
    for table in tables:
        for constraint in table.foreign_key_constraints:
            if constraint.name is not None:
                add = schema.AddConstraint(constraint)
                attempt(f"key of {table.name}", lambda c, add=add: c.execute(add))
    for table in tables:
        for index in indexes[table.name]:
            attempt(f"index {index.name}", lambda c, i=index: i.create(c, checkfirst=True))
    engine.dispose()
    return failed


def web_token(number: int) -> str:
    """A token that looks like the provider's: three parts, good for a day."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": str(number), "exp": int(time.time()) + 86400})
    told = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in parts]
    return ".".join(each.rstrip("=") for each in (*told, f"signature{number}"))


async def make_rows(known: dict[str, Any], user: dict[str, str], accounts: int) -> None:
    """The administrator, and the provider's accounts with their credits."""
    session: Any = importlib.import_module(f"{HOST}.infrastructure.database.session")
    users: Any = importlib.import_module(f"{HOST}.services.user.user_service")
    async with session.AsyncSessionLocal() as db:
        await users.UserService(db).create_user(**user, role="admin")
        for number in range(1, accounts + 1):
            account = known["ProviderAccount"](
                provider_id="pixverse",
                email=f"account{number}@provider.test",
                password=None,
                jwt_token=web_token(number),
                max_concurrent_jobs=10,
                nickname=f"account {number}",
            )
            db.add(account)
            await db.flush()
            credit = known["ProviderCredit"](account_id=account.id, credit_type="web", amount=1000)
            db.add(credit)
        await db.commit()


def main() -> None:
    """Does all of it; prints what could not be made."""
    wanted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    known = models()
    for line in make_tables(os.environ["DATABASE_URL"]):
        print(f"not made: {line}")
    asyncio.run(make_rows(known, wanted["user"], wanted["accounts"]))
    print("seeded")


if __name__ == "__main__":
    main()
