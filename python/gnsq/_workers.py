"""Those who handle the messages of a line: in plain threads one comes when there is work, and goes after a while without."""

from __future__ import annotations

import threading
from typing import Callable

from . import _core, _modes
from ._modes._threads import THREADS


class Slot:
    """A place for one worker at a line. It is filled while there are messages."""

    def __init__(
        self, mode: _modes.Mode, handle: Callable[[_core.Messages], object], line: _core.Line, name: str
    ) -> None:
        """`handle` is given the line's messages again and again, while there are some."""
        self._mode = mode
        self._handle = handle
        self._line = line
        self._messages = line.messages()
        self._name = f"{name} {line.nsqd}" if line.nsqd else name
        # A greenlet that waits costs little. Of threads there would be one for each idle consumer.
        self._linger = _LINGER if mode is THREADS else None
        self._worker: int | None = None
        self._await()

    def give_back_of(self, worker: int) -> None:
        """Gives back the message in hand, if it is this worker's."""
        if self._worker == worker:
            self._messages.give_back()

    def _await(self) -> None:
        self._mode.when_ready(self._line, self._fill)

    def _fill(self) -> None:
        if not self._line.is_closed():
            self._mode.spawn(self._work, name=self._name)

    def _work(self) -> None:
        self._worker = current_worker()
        try:
            while not self._line.is_closed():
                self._handle(self._messages)
                if not self._mode.wait(self._line, self._linger):
                    break
        finally:
            self._worker = None
            # Also when a handler has ended this one: there are others' messages.
            if not self._line.is_closed():
                self._await()


def current_worker() -> int:
    """Which thread or greenlet this is."""
    if _modes.current() is THREADS:
        return threading.get_ident()
    import gevent

    return id(gevent.getcurrent())


#: For how many seconds a thread waits for more messages before it ends.
_LINGER = 1.0
