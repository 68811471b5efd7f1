"""Where Python waits: in plain threads, or in gevent's hub. Found without being told, at each wait.

asyncio has no mode here: what awaits is another kind of function, in :mod:`gnsq.asyncio`.
"""

from __future__ import annotations

import sys
from typing import Callable

from ._mode import Mode, Waitable, Worker
from ._threads import THREADS

__all__ = ["Mode", "Waitable", "Worker", "current"]


def current() -> Mode:
    """The mode of the calling thread: gevent's where gevent has been imported in this process."""
    if _greenlets_of_this_thread is not None:
        return _greenlets_of_this_thread()
    if "gevent.hub" not in sys.modules:
        return THREADS
    return _load_greenlets()()


def _load_greenlets() -> Callable[[], Mode]:
    global _greenlets_of_this_thread  # noqa: PLW0603 - it is imported once, and asked for with each wait
    from ._greenlets import of_this_thread

    _greenlets_of_this_thread = of_this_thread
    return of_this_thread


_greenlets_of_this_thread: Callable[[], Mode] | None = None
