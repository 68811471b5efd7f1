"""gevent: whoever waits yields to the hub of its thread, which watches one file descriptor for all clients."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import gevent
from gevent.event import AsyncResult
from gevent.hub import Waiter, get_hub

from .. import _core, _lifecycle
from ._mode import Waitable
from ._threads import run_safely


class _GreenletWorker:
    def __init__(self, greenlet: Any) -> None:
        self._greenlet = greenlet

    def join(self, timeout: float | None = None) -> bool:
        if self._greenlet is gevent.getcurrent():
            return False
        self._greenlet.join(timeout)
        return bool(self._greenlet.dead)


class _Greenlets:
    def __init__(self, hub: Any) -> None:
        self.generation = _lifecycle.generation()
        self._mailbox = _core.Mailbox("set")
        self._watcher = hub.loop.io(self._mailbox.fileno(), 1)
        # While somebody is to be told, the loop has a reason to go on.
        self._watcher.ref = self._is_awaited = False
        self._watcher.start(self._drain)

    def wait(self, waitable: Waitable, timeout: float | None = None) -> bool:
        waiter: Any = Waiter()
        self.when_ready(waitable, partial(waiter.switch, None))
        if timeout is None:
            waiter.get()
            return True
        with gevent.Timeout(timeout) as limit:
            try:
                waiter.get()
            except gevent.Timeout as passed:
                if passed is not limit:
                    raise
                return False
        return True

    def when_ready(self, waitable: Waitable, call: Callable[[], object]) -> None:
        waitable.arm(self._mailbox, call)
        if not self._is_awaited:
            self._watcher.ref = self._is_awaited = True

    def result(self, publish: _core.Publish) -> AsyncResult[bytes]:
        result: AsyncResult[bytes] = AsyncResult()
        publish.settle(self._mailbox, result)
        if not self._is_awaited:
            self._watcher.ref = self._is_awaited = True
        return result

    def spawn(self, function: Callable[..., object], *args: object, name: str) -> _GreenletWorker:
        greenlet = gevent.Greenlet(function, *args)
        greenlet.name = name
        greenlet.start()
        return _GreenletWorker(greenlet)

    def stop(self) -> None:
        self._watcher.stop()

    def _drain(self) -> None:
        calls = self._mailbox.drain()
        if not self._mailbox.is_armed():
            self._watcher.ref = self._is_awaited = False
        for call in calls:
            run_safely(call)


def of_this_thread() -> _Greenlets:
    """The mode of this thread's hub, which keeps it."""
    hub: Any = get_hub()
    mode: _Greenlets | None = getattr(hub, "_gnsq_mode", None)
    if mode is None or mode.generation != _lifecycle.generation():
        if mode is not None:
            # A parent's: its file descriptor is readable when the parent is told.
            mode.stop()
        mode = hub._gnsq_mode = _Greenlets(hub)
    return mode
