"""Something that runs beside the test: a thread, or a greenlet under gevent."""

from __future__ import annotations

import threading
from typing import Any, Callable

from . import mode


class Worker:
    """A function that runs."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._call = (function, args, kwargs)
        self._value: Any = None
        self._error: BaseException | None = None
        self._runner: Any
        if mode.IS_GEVENT:
            import gevent

            self._runner = gevent.spawn(self._run)
        else:
            self._runner = threading.Thread(target=self._run, daemon=True)
            self._runner.start()

    def join(self, timeout: float | None = None) -> bool:
        """Waits until it has ended, for up to `timeout` seconds; tells whether it has."""
        self._runner.join(timeout)
        return self.ended

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return bool(self._runner.dead) if mode.IS_GEVENT else not self._runner.is_alive()

    def result(self, timeout: float = 60) -> Any:
        """What the function has returned or raised, once it has.

        :raises AssertionError: if it still runs after `timeout` seconds
        """
        assert self.join(timeout), f"{self._call[0]} still runs after {timeout} s"
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        function, args, kwargs = self._call
        try:
            self._value = function(*args, **kwargs)
        except BaseException as error:
            self._error = error


def spawn_worker(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Worker:
    """Runs the function beside the caller."""
    return Worker(function, *args, **kwargs)
