"""Those who handle what comes: in plain threads one comes when there is work, and goes after a while without."""

from __future__ import annotations

import threading
from typing import Callable

from . import _lifecycle, _modes
from ._modes._threads import THREADS


class Slot:
    """A place for one worker. It is filled while there is something to do."""

    def __init__(
        self,
        mode: _modes.Mode,
        waitable: _modes.Waitable,
        work: Callable[[], object],
        is_over: Callable[[], bool],
        name: str,
    ) -> None:
        """`work` is called again and again while `waitable` is ready, until `is_over`."""
        self._mode = mode
        self._waitable = waitable
        self._work = work
        self._is_over = is_over
        self._generation = _lifecycle.generation()
        self._name = name
        # A greenlet that waits costs little. Of threads there would be one for each idle consumer.
        self._linger = _LINGER if mode is THREADS else None
        #: Which thread or greenlet works.
        self.worker: int | None = None
        self._await()

    def _await(self) -> None:
        self._mode.when_ready(self._waitable, self._fill)

    def _fill(self) -> None:
        if not self._has_ended():
            self._mode.spawn(self._run, name=self._name)

    def _run(self) -> None:
        self.worker = current_worker()
        try:
            while not self._has_ended():
                self._work()
                if not self._mode.wait(self._waitable, self._linger):
                    break
        except SystemExit:
            # It ends a thread and no more, as any other's. gevent's hub hands it to the main greenlet.
            if self._mode is not THREADS:
                raise
        finally:
            self.worker = None
            # Also when what was called has ended this one: there is more to do.
            if not self._has_ended():
                self._await()

    def _has_ended(self) -> bool:
        # A forked child has a copy of a greenlet that was about to go on, and goes on with it.
        return self._generation != _lifecycle.generation() or self._is_over()


def current_worker() -> int:
    """Which thread or greenlet this is."""
    if _modes.current() is THREADS:
        return threading.get_ident()
    import gevent

    return id(gevent.getcurrent())


#: For how many seconds a thread waits for more messages before it ends.
_LINGER = 1.0
