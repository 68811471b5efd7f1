"""Waiting for what happens elsewhere, without holding up gevent's hub."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

from . import mode

T = TypeVar("T")


def pause(seconds: float) -> None:
    """Sleeps; lets others run."""
    if mode.IS_GEVENT:
        import gevent

        gevent.sleep(seconds)
    else:
        time.sleep(seconds)


def eventually(predicate: Callable[[], T], timeout: float = 30) -> T:
    """Asks `predicate` until it gives something true, which is returned. One that raises is asked again, too.

    :raises AssertionError: when `timeout` seconds have passed
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: Exception | None = None
        try:
            given = predicate()
            if given:
                return given
        except Exception as error:
            failure = error
        if time.monotonic() > deadline:
            name = getattr(predicate, "__qualname__", predicate)
            raise AssertionError(f"{name} has not come true within {timeout} s") from failure
        pause(_STEP)


_STEP = 0.01
