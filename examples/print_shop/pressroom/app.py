"""The shop's counter: the ASGI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from arq import create_pool
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from pressroom import orders
from pressroom.jobs import REDIS
from pressroom.tables import Base, engine


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(Base.metadata.create_all, engine)
    app.state.queue = await create_pool(REDIS)
    yield
    await app.state.queue.aclose()


app = FastAPI(lifespan=lifespan)


class Slip(BaseModel):
    customer: str
    document: str = Field(min_length=1)
    paper: str = "plain"


@app.post("/orders", status_code=202)
async def order(slip: Slip, request: Request) -> dict[str, str]:
    try:
        order_no = await orders.place_order(
            request.app.state.queue, slip.customer, slip.document, slip.paper
        )
    except orders.OrderRefused as refused:
        raise HTTPException(409, refused.reason) from refused
    return {"order_no": str(order_no)}


@app.get("/orders/{order_no}")
def ask(order_no: UUID) -> dict[str, Any]:
    found = orders.look_up(str(order_no))
    if found is None:
        raise HTTPException(404)
    return {"state": found.state.value, "sheets": found.sheets, "refusal": found.refusal}


@app.delete("/orders/{order_no}")
def take_back(order_no: UUID) -> dict[str, bool]:
    return {"withdrawn": orders.withdraw(str(order_no))}


@app.get("/health")
async def health() -> str:
    return "open"
