"""A FastAPI application. A worker never runs its lifespan, so the environment tells both where RabbitMQ and Redis are.

export ACTORS_BROKER_URL=amqp://guest:guest@127.0.0.1:5672/ ACTORS_STORE_URL=redis://127.0.0.1:6379/0
uvicorn examples.fastapi_lifespan.app:app
dramatiq actors examples.fastapi_lifespan.tasks
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import actors
from examples.fastapi_lifespan.tasks import Receipt, write_receipt


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    actors.settings()  # so that a misspelt setting stops the start, instead of failing the first request
    yield
    actors.broker.close()


app = FastAPI(lifespan=lifespan)


# Not async: a send waits for RabbitMQ's confirm, which would hold up the event loop.
@app.post("/receipts", status_code=202)
def receipts(receipt: Receipt) -> dict[str, str]:
    message = write_receipt.send(receipt)
    return {"message_id": message.message_id}
