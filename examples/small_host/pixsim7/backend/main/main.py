"""The API: `uvicorn pixsim7.backend.main.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dotenv import load_dotenv

load_dotenv()

from fastapi import FastAPI, Request  # noqa: E402
from fastapi.responses import JSONResponse  # noqa: E402

from pixsim7.backend.main.api.middleware import TraceIdMiddleware  # noqa: E402
from pixsim7.backend.main.api.v1 import accounts, generation_chains, generations  # noqa: E402
from pixsim7.backend.main.event_handlers import register_handlers  # noqa: E402
from pixsim7.backend.main.infrastructure.database.session import (  # noqa: E402
    engine,
    prepare_database,
)
from pixsim7.backend.main.infrastructure.events.redis_bridge import (  # noqa: E402
    start_event_bus_bridge,
    stop_event_bus_bridge,
)
from pixsim7.backend.main.infrastructure.redis import close_redis, get_arq_pool  # noqa: E402
from pixsim7.backend.main.shared.errors import (  # noqa: E402
    PixSimError,
    QuotaError,
    ResourceNotFoundError,
)
from pixsim7.backend.main.shared.logging import configure_logging, get_logger  # noqa: E402

logger = get_logger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    configure_logging("api")
    await prepare_database()
    try:
        await get_arq_pool()
    except Exception as error:
        logger.warning("arq_pool_unavailable", error=str(error))
    register_handlers()
    await start_event_bus_bridge(role="api")
    yield
    await stop_event_bus_bridge()
    await close_redis()
    await engine.dispose()


app = FastAPI(title="PixSim7, small", lifespan=lifespan)
app.add_middleware(TraceIdMiddleware)
app.include_router(generations.router, prefix="/api/v1")
app.include_router(generation_chains.router, prefix="/api/v1")
app.include_router(accounts.router, prefix="/api/v1")


@app.exception_handler(PixSimError)
async def refuse(request: Request, error: PixSimError) -> JSONResponse:
    status = {ResourceNotFoundError: 404, QuotaError: 402}.get(type(error), 400)
    return JSONResponse({"detail": error.message, "code": error.code}, status_code=status)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
