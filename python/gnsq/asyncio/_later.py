"""What goes on whether it is awaited or not."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Callable


class Later(Awaitable[None]):
    """What a call has begun: ``await`` waits for its end, and without that it goes on all the same."""

    __slots__ = ("_wait",)

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._wait().__await__()
