"""Plain threads: whoever waits blocks its own thread, in native code and without the GIL."""

from __future__ import annotations

import logging
import threading
from typing import Callable

from .. import _core, _lifecycle
from .._result import Result
from ..errors import NSQException
from ._mode import Waitable

_logger = logging.getLogger("gnsq")


class _ThreadWorker:
    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread

    def join(self, timeout: float | None = None) -> bool:
        if self._thread is threading.current_thread():
            return False
        self._thread.join(timeout)
        return not self._thread.is_alive()


class _Threads:
    def __init__(self) -> None:
        # The thread that calls what is to be called when something is ready; started with the first such wish.
        self._events: _core.Mailbox | None = None
        self._lock = threading.Lock()

    def wait(self, waitable: Waitable, timeout: float | None = None) -> bool:
        try:
            return waitable.wait(timeout)
        except NSQException:
            # The exit of the interpreter ends every wait. What called from a thread of its own ends without a word.
            if _lifecycle.exiting() and threading.current_thread() is not threading.main_thread():
                raise SystemExit from None
            raise

    def when_ready(self, waitable: Waitable, call: Callable[[], object]) -> None:
        waitable.arm(self._mailbox(), call)

    def result(self, publish: _core.Publish) -> Result:
        return Result(publish)

    def spawn(self, function: Callable[..., object], *args: object, name: str) -> _ThreadWorker:
        thread = threading.Thread(target=_run, args=(function, *args), name=name, daemon=True)
        thread.start()
        return _ThreadWorker(thread)

    def _mailbox(self) -> _core.Mailbox:
        with self._lock:
            if self._events is None:
                self._events = _core.Mailbox()
                self.spawn(self._call, self._events, name="gnsq-events")
            return self._events

    @staticmethod
    def _call(mailbox: _core.Mailbox) -> None:
        while not _lifecycle.exiting():
            _call_all(mailbox.wait())

    def after_fork(self) -> None:
        self._events = None
        self._lock = threading.Lock()


def _run(function: Callable[..., object], *args: object) -> None:
    try:
        function(*args)
    except Exception:
        # The exit of the interpreter ends every wait.
        if not _lifecycle.exiting():
            raise


def _call_all(calls: list[Callable[[], object]]) -> None:
    # A function of its own, so that nothing of them is kept while the next ones are waited for.
    for call in calls:
        run_safely(call)


def run_safely(call: Callable[[], object]) -> None:
    """Calls it; what it raises is logged, and harms nobody else."""
    try:
        call()
    except Exception:
        _logger.exception("an internal callback of gnsq failed")


THREADS = _Threads()
_lifecycle.after_fork(THREADS.after_fork)
