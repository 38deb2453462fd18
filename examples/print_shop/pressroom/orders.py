"""What can be done with an order. Whoever awaits these puts the database's part in a thread."""

import asyncio
from typing import Any
from uuid import UUID

from arq.connections import ArqRedis
from sqlalchemy import update

from pressroom.tables import OVER, PrintOrder, Sessions, State

PAPERS = ("plain", "laid", "card")
INTAKE, PRESS = "pressroom:intake", "pressroom:press"


class OrderRefused(Exception):
    """The shop does not take this order."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the order is refused: {reason}")
        self.reason = reason


async def place_order(queue: ArqRedis, customer: str, document: str, paper: str) -> UUID:
    """Writes the order down and hands it to the intake; returns its number."""
    if paper not in PAPERS:
        raise OrderRefused("no_such_paper")
    order_no = await asyncio.to_thread(_write_down, customer, document, paper)
    await queue.enqueue_job("take_in", str(order_no), _queue_name=INTAKE)
    return order_no


def _write_down(customer: str, document: str, paper: str) -> UUID:
    with Sessions.begin() as session:
        order = PrintOrder(customer=customer, document=document, paper=paper)
        session.add(order)
        session.flush()
        return order.order_no


def look_up(order_no: str) -> PrintOrder | None:
    """The order as it is now."""
    with Sessions() as session:
        return session.get(PrintOrder, UUID(order_no))


def turn(order_no: str, state: State, **facts: Any) -> PrintOrder | None:
    """Gives the order its next state; None, and nothing is changed, when it is over."""
    with Sessions.begin() as session:
        order = session.get_one(PrintOrder, UUID(order_no))
        if order.state in OVER:
            return None
        order.state = state
        for name, value in facts.items():
            setattr(order, name, value)
        return order


def withdraw(order_no: str) -> bool:
    """Takes an order back that nobody has begun to print."""
    mine = update(PrintOrder).where(PrintOrder.order_no == UUID(order_no))
    with Sessions.begin() as session:
        asked = mine.where(PrintOrder.state == State.NEW).values(state=State.WITHDRAWN)
        return bool(session.execute(asked).rowcount)
