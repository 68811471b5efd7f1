"""The outcome to come of a publish that nobody waits for yet."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from . import _core, _modes


class Result:
    """What ``publish(..., raise_error=False)`` returns in plain threads: nsqd's answer, or why there is none::

        result = producer.publish("orders", b"one coffee", raise_error=False)
        ...
        result.get(timeout=10)  # b"OK", or the error is raised

    To drop it stops nothing: only the outcome is lost.
    """

    __slots__ = ("_error", "_publish")

    def __init__(self, publish: _core.Publish) -> None:
        self._publish = publish
        self._error: BaseException | None = None

    def get(self, block: bool = True, timeout: float | None = None) -> bytes:
        """The answer of nsqd, ``b"OK"``; waits for it for up to `timeout` seconds (None: until there is an outcome).

        :raises TimeoutError: if there is no outcome by then; without `block`, if there is none now
        :raises gnsq.errors.NSQException: if the publish has failed
        """
        answer = self._poll()
        if answer is None:
            if not (block and self._wait(timeout)):
                waited = "" if not block or timeout is None else f" after {timeout} s"
                raise TimeoutError(f"the publish has no outcome yet{waited}: it goes on")
            answer = self._poll()
        return answer  # type: ignore[return-value]

    def wait(self, timeout: float | None = None) -> bytes | None:
        """As `get`, but returns None where that would raise."""
        return self.value if self.ready() or self._wait(timeout) else None

    def ready(self) -> bool:
        """Whether the outcome is there."""
        return self._publish.done()

    def successful(self) -> bool:
        """Whether nsqd has confirmed the publish."""
        return self.value is not None

    @property
    def value(self) -> bytes | None:
        """The answer of nsqd; None while there is none, and if the publish has failed."""
        try:
            return self._poll()
        except Exception as error:
            if error is self._error:
                return None
            raise

    @property
    def exception(self) -> BaseException | None:
        """Why the publish has failed; None if it has not."""
        self.successful()
        return self._error

    def future(self) -> Future[bytes]:
        """The same outcome as a :class:`concurrent.futures.Future`, which can't be cancelled. Its callbacks must not
        block: they run where gnsq tells all futures."""
        future: Future[bytes] = Future()
        future.set_running_or_notify_cancel()

        def settle() -> None:
            answer = self.value
            if answer is not None:
                future.set_result(answer)
            else:
                future.set_exception(self.exception)

        if self.ready():
            settle()
        else:
            _modes.current().when_ready(self._publish, settle)
        return future

    def __repr__(self) -> str:
        if not self.ready():
            return "<gnsq publish pending>"
        return "<gnsq publish OK>" if self.successful() else f"<gnsq publish failed: {self.exception!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("the outcome of a publish belongs to the process that waits for it, and can't be pickled")

    def _poll(self) -> bytes | None:
        if self._error is not None:
            raise self._error
        try:
            return self._publish.poll()
        except Exception as error:
            self._error = error
            raise

    def _wait(self, timeout: float | None) -> bool:
        return _modes.current().wait(self._publish, timeout)
