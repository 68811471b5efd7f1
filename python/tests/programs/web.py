"""A WSGI application that publishes, for gunicorn: `GNSQ_TEST_NSQD` and `GNSQ_TEST_TOPIC` say where.

With `--preload` it is imported before gunicorn forks. `/` publishes with the worker's own producer, `/preloaded` with
one that has begun in the master.
"""

from __future__ import annotations

import os
from typing import Any, Callable

import gnsq
from gnsq.errors import NSQException

ADDRESS, TOPIC = os.environ["GNSQ_TEST_NSQD"], os.environ["GNSQ_TEST_TOPIC"]

preloaded = gnsq.Producer(ADDRESS)
preloaded.start()
preloaded.publish(TOPIC, b"of the master")

_own: dict[int, gnsq.Producer] = {}


def own() -> gnsq.Producer:
    """The producer of this process."""
    if os.getpid() not in _own:
        producer = gnsq.Producer(ADDRESS)
        producer.start()
        _own[os.getpid()] = producer
    return _own[os.getpid()]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Publishes the path."""
    producer = preloaded if environ["PATH_INFO"] == "/preloaded" else own()
    try:
        answer = producer.publish(TOPIC, environ["PATH_INFO"])
    except NSQException as error:
        start_response("500 Internal Server Error", [])
        return [str(error).encode()]
    start_response("200 OK", [])
    return [b"%d %s" % (os.getpid(), answer)]
