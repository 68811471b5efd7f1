"""What the handlers here need of messages and consumers. Anything that has it will do."""

from __future__ import annotations

from typing import Protocol


class Message(Protocol):
    """A message, as :class:`gnsq.Message` is one."""

    @property
    def timestamp(self) -> int: ...

    @property
    def attempts(self) -> int: ...

    @property
    def id(self) -> bytes: ...

    @property
    def body(self) -> bytes: ...

    def finish(self) -> object: ...

    def requeue(self, time_ms: int = 0, backoff: bool = True) -> object: ...

    def has_responded(self) -> bool: ...

    def enable_async(self) -> object: ...


class Starving(Protocol):
    """Whoever gets messages, and may get no more until some of them have been answered."""

    @property
    def is_starved(self) -> bool: ...


class Subscribed(Protocol):
    """Whoever gets the messages of a channel."""

    @property
    def topic(self) -> str: ...

    @property
    def channel(self) -> str: ...
