"""A Flask application that publishes what is posted.

`flask --app flask_orders run`, or `gunicorn --preload -w 4 flask_orders:app`. NSQD_TCP_ADDRESS says where nsqd is, by
default at 127.0.0.1:4150.
"""

from __future__ import annotations

import os
from functools import cache
from threading import Lock
from typing import Any

from flask import Flask, request

import gnsq
from gnsq.errors import NSQException

app = Flask(__name__)
_lock = Lock()


@cache
def _producer_of(_pid: int) -> gnsq.Producer:
    producer = gnsq.Producer(os.environ.get("NSQD_TCP_ADDRESS", "127.0.0.1:4150"))
    producer.start()
    return producer


def producer() -> gnsq.Producer:
    """The producer of this process, for all of its threads: a fork's child has its own."""
    with _lock:
        return _producer_of(os.getpid())


@app.post("/orders")
def order() -> tuple[dict[str, Any], int]:
    """Publishes the body; 201 when nsqd has it."""
    try:
        producer().publish("orders", request.get_data(), timeout=5)
    except NSQException as error:
        return {"error": str(error)}, 503
    return {"accepted": True}, 201
