"""Messages and a consumer for handlers that want no nsqd."""

from __future__ import annotations

import threading
from itertools import count
from typing import Any

from gnsq.errors import NSQException

_numbers = count()


class FakeMessage:
    """Keeps how it was answered in `answers`: ("finish",), or ("requeue", time_ms, backoff)."""

    def __init__(self, body: bytes = b"body", *, fails: Exception | None = None) -> None:
        self.timestamp = 1_700_000_000_000_000_001
        self.attempts = 6
        self.id = b"%016x" % next(_numbers)
        self.body = body
        self.answers: list[tuple[Any, ...]] = []
        self._is_async = False
        self._fails = fails
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<FakeMessage {self.body!r}>"

    def finish(self) -> None:
        self._answer("finish")

    def requeue(self, time_ms: int = 0, backoff: bool = True) -> None:
        self._answer("requeue", time_ms, backoff)

    def touch(self) -> None:
        pass

    def has_responded(self) -> bool:
        return bool(self.answers)

    def enable_async(self) -> None:
        self._is_async = True

    def is_async(self) -> bool:
        return self._is_async

    def _answer(self, *answer: Any) -> None:
        with self._lock:
            if self._fails is not None:
                raise self._fails
            if self.answers:
                raise NSQException("it has been answered")
            self.answers.append(answer)


class FakeConsumer:
    """Has enough, unless it is told to be starved."""

    topic = "topic"
    channel = "channel"

    def __init__(self, *, is_starved: bool = False) -> None:
        self.is_starved = is_starved


def messages(number: int) -> list[FakeMessage]:
    """Messages with bodies b"0", b"1" and so on."""
    return [FakeMessage(b"%d" % index) for index in range(number)]
