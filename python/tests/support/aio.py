"""Waiting for what happens elsewhere, in a coroutine."""

from __future__ import annotations

import asyncio
import time
from typing import Callable, TypeVar

T = TypeVar("T")


async def until(predicate: Callable[[], T], timeout: float = 30) -> T:
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
            raise AssertionError(f"{predicate} has not come true within {timeout} s") from failure
        await asyncio.sleep(0.01)
