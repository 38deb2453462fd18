"""The one table, and the sessions on it; everything here is synchronous."""

import os
from enum import Enum
from uuid import UUID, uuid4

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

engine = create_engine(os.environ.get("PRESSROOM_DB", "sqlite:///pressroom.db"))
Sessions = sessionmaker(engine, expire_on_commit=False)


class State(Enum):
    NEW = "NEW"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


OVER = (State.DONE, State.REJECTED, State.WITHDRAWN)


class Base(DeclarativeBase):
    pass


class PrintOrder(Base):
    __tablename__ = "print_orders"

    order_no: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    customer: Mapped[str]
    document: Mapped[str]
    paper: Mapped[str]
    state: Mapped[State] = mapped_column(default=State.NEW)
    refusal: Mapped[str | None]
    sheets: Mapped[int | None]
