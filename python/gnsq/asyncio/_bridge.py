"""Where an event loop is told what the I/O has done: one file descriptor for all clients of the loop."""

from __future__ import annotations

import asyncio
import weakref
from asyncio import Future
from typing import Any, Callable, Union

from .. import _core, _lifecycle
from .._modes import Waitable

#: What becomes of something that is ready.
Target = Union["Future[bool]", Callable[[], object]]


class Bridge:
    """One loop's. The loop keeps it, and watches its file descriptor while there is something to be told, or a client
    that holds it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.generation = _lifecycle.generation()
        self._loop = weakref.ref(loop)
        self._mailbox = _core.Mailbox()
        self._holds = 0
        self._is_watched = False

    def arm(self, waitable: Waitable, target: Target) -> None:
        """Once `waitable` is ready, sets the future's result to True, or calls what is to be called."""
        waitable.arm(self._mailbox, target)
        if not self._is_watched:
            self._watch()

    def settle(self, publish: _core.Publish, future: Future[bytes]) -> None:
        """Gives the future the outcome of the publish, once that is there."""
        publish.settle(self._mailbox, future)
        if not self._is_watched:
            self._watch()

    def hold(self, client: object) -> Callable[[], object]:
        """Has the loop watch until `client` is gone, or what this returns is called: for one that often waits, and not
        always."""
        self._holds += 1
        if not self._is_watched:
            self._watch()
        finalizer = weakref.finalize(client, self._let_go)
        finalizer.atexit = False
        return finalizer

    def _let_go(self) -> None:
        self._holds -= 1
        loop = self._loop()
        if loop is not None and not loop.is_closed():
            # The last reference may have been another thread's.
            loop.call_soon_threadsafe(self._unwatch_if_unused)

    def _watch(self) -> None:
        loop = self._loop()
        if loop is not None:
            loop.add_reader(self._mailbox.fileno(), self._drain)
            self._is_watched = True

    def _unwatch_if_unused(self) -> None:
        loop = self._loop()
        if self._holds == 0 and self._is_watched and not self._mailbox.is_armed() and loop is not None:
            loop.remove_reader(self._mailbox.fileno())
            self._is_watched = False

    def _drain(self) -> None:
        targets: list[Target] = self._mailbox.drain()
        for target in targets:
            if isinstance(target, Future):
                if not target.done():
                    target.set_result(True)
            else:
                # What it raises goes to the loop's handler, and harms nobody else.
                asyncio.get_running_loop().call_soon(target)
        self._unwatch_if_unused()


def bridge() -> Bridge:
    """That of the running loop."""
    return _of(asyncio.get_running_loop())


def _of(loop: asyncio.AbstractEventLoop) -> Bridge:
    kept = vars(loop)
    found: Bridge | None = kept.get(_NAME)
    if found is None or found.generation != _lifecycle.generation():
        # One of before a fork is told what happens in the parent.
        found = kept[_NAME] = Bridge(loop)
    return found


def ready(waitable: Waitable) -> Future[bool]:
    """Done when it is ready."""
    loop = asyncio.get_running_loop()
    future: Future[bool] = loop.create_future()
    _of(loop).arm(waitable, future)
    return future


def settled(publish: _core.Publish) -> Future[bytes]:
    """Has its outcome when that is there. To cancel it stops nothing."""
    loop = asyncio.get_running_loop()
    future: Future[bytes] = loop.create_future()
    _of(loop).settle(publish, future)
    return future


async def wait(waitable: Waitable, timeout: float | None = None) -> bool:
    """Waits until it is ready or `timeout` seconds have passed; tells whether it is ready. For what will be ready
    sometime, or is waited for once: a wait that was cancelled is still armed."""
    future = ready(waitable)
    if timeout is None:
        return await future
    timer = asyncio.get_running_loop().call_later(timeout, _pass, future)
    try:
        return await future
    finally:
        timer.cancel()


async def outcome(operation: _core.Operation) -> Any:
    """What an operation gives. Cancelled, it stops the operation, which may have been done nevertheless."""
    try:
        await wait(operation)
    except BaseException:
        operation.cancel()
        raise
    return operation.result()


def _pass(future: Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


_NAME = "_gnsq_bridge"
