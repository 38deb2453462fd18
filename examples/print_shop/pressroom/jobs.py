"""Two ARQ workers: the intake weighs the document, the press room prints it."""

import asyncio
import os
from typing import Any

from arq import Retry
from arq.connections import RedisSettings

from pressroom import orders, press
from pressroom.tables import State

REDIS = RedisSettings.from_dsn(os.environ.get("PRESSROOM_REDIS", "redis://127.0.0.1:6379/0"))
SHEET, TRIES = 40, 3


async def take_in(ctx: dict[str, Any], order_no: str) -> str:
    """The intake: how many sheets it takes; then the ticket goes to the press room."""
    order = await asyncio.to_thread(orders.look_up, order_no)
    if order is None or order.state is not State.NEW:
        return "nothing to do"
    ticket = {"order": order_no, "sheets": 1 + len(order.document) // SHEET}
    await ctx["redis"].enqueue_job("run_press", ticket=ticket, _queue_name=orders.PRESS)
    return "passed on"


async def run_press(ctx: dict[str, Any], *, ticket: dict[str, Any]) -> str:
    """The press room: has it printed, again after a jam, and closes the order."""
    order_no = ticket["order"]
    order = await asyncio.to_thread(orders.turn, order_no, State.RUNNING)
    if order is None:
        return "nothing to do"
    try:
        printed = await asyncio.to_thread(press.print_document, ticket, order.document, order.paper)
    except press.PressError as refused:
        if isinstance(refused, press.Jammed) and ctx["job_try"] < TRIES:
            raise Retry(defer=0.3) from refused
        await asyncio.to_thread(orders.turn, order_no, State.REJECTED, refusal=refused.code)
        return "rejected"
    await asyncio.to_thread(orders.turn, order_no, State.DONE, sheets=printed["sheets"])
    return "printed"


class Intake:
    functions = [take_in]
    queue_name = orders.INTAKE
    redis_settings = REDIS
    poll_delay = 0.1


class PressRoom:
    functions = [run_press]
    queue_name = orders.PRESS
    redis_settings = REDIS
    poll_delay = 0.1
