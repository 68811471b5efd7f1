"""A FastAPI application that publishes what is posted, and handles it in the same loop.

`uvicorn fastapi_orders:app`. NSQD_TCP_ADDRESS says where nsqd is, by default at 127.0.0.1:4150.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request

import gnsq.asyncio
from gnsq.errors import NSQException

NSQD = os.environ.get("NSQD_TCP_ADDRESS", "127.0.0.1:4150")

#: The last orders that were handled.
handled: deque[str] = deque(maxlen=100)


async def cook(consumer: gnsq.asyncio.Consumer, message: gnsq.Message) -> None:
    """Handles one order."""
    handled.append(message.body.decode())


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connects in the server's own process and loop, and closes when the server stops."""
    async with gnsq.asyncio.Producer(NSQD) as producer:
        app.state.producer = producer
        consumer = gnsq.asyncio.Consumer("orders", "kitchen", NSQD, message_handler=cook, max_in_flight=20)
        async with consumer:
            yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def order(request: Request) -> dict[str, bool]:
    """Publishes the body; 201 when nsqd has it."""
    try:
        await request.app.state.producer.publish("orders", await request.body(), timeout=5)
    except NSQException as error:
        raise HTTPException(503, str(error)) from error
    return {"accepted": True}


@app.get("/handled")
async def list_handled() -> list[str]:
    """The last orders that were handled."""
    return list(handled)
