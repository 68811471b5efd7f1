"""Signals whose receivers may be coroutine functions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from inspect import isawaitable
from typing import Any

from .._signal import Signal
from .._tell import tell


async def send(signal: Signal, sender: Any, **kwargs: Any) -> None:
    """Calls the receivers one after the other, and awaits what they return. What one raises is raised."""
    if not signal.receivers or signal.is_muted:
        return
    for receiver in list(signal.receivers_for(sender)):
        result = receiver(sender, **kwargs)
        if isawaitable(result):
            await result


async def announce(signal: Signal, sender: Any, log: logging.Logger, **kwargs: Any) -> None:
    """As :func:`send`, but what a receiver raises is logged, and harms nobody."""
    for result in tell(signal, sender, log=log, **kwargs):
        await finish(result, sender, log)


def notify(
    loop: asyncio.AbstractEventLoop | None, signal: Signal, sender: Any, log: logging.Logger, **kwargs: Any
) -> None:
    """As :func:`announce`, but waits for nothing: what receivers return is awaited in a task of the loop. From any
    thread."""
    for result in tell(signal, sender, log=log, **kwargs):
        if isawaitable(result) and loop is not None:
            in_loop(loop, finish(result, sender, log))


def in_loop(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs it in a task of the loop, unless that is closed. From any thread."""
    if loop.is_closed():
        coroutine.close()
    elif asyncio._get_running_loop() is loop:
        in_running_loop(coroutine)
    else:
        loop.call_soon_threadsafe(in_running_loop, coroutine)


def in_running_loop(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs it in a task of the running loop."""
    task = asyncio.get_running_loop().create_task(coroutine)
    # A loop keeps its tasks weakly.
    _running.add(task)
    task.add_done_callback(_running.discard)


async def finish(result: Awaitable[Any] | Any, sender: Any, log: logging.Logger) -> None:
    """Awaits what a receiver has returned, if it can be. What that raises is logged."""
    if not isawaitable(result):
        return
    try:
        await result
    except Exception:
        log.exception("a receiver of a signal of %r failed", sender)


_running: set[asyncio.Task[None]] = set()
