"""Tasks that wait for the messages of a line, again and again."""

from __future__ import annotations

import asyncio
from collections import deque

from .. import _core
from ._bridge import bridge


class Ready:
    """Wakes as many tasks as there are messages. Waits that are cancelled leave nothing behind and lose no wake-up."""

    def __init__(self, line: _core.Line) -> None:
        self._line = line
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_armed = False

    async def wait(self) -> None:
        """Returns when there is a message, which somebody else may take before, or the line is closed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._arm()
        try:
            await future
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def _arm(self) -> None:
        if self._waiting and not self._is_armed:
            self._is_armed = True
            bridge().arm(self._line, self._wake)

    def _wake(self) -> None:
        self._is_armed = False
        wanted = len(self._waiting) if self._line.is_closed() else self._line.count()
        while wanted > 0 and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                wanted -= 1
        if self._waiting:
            # Once those have taken theirs. What they leave is told at once.
            asyncio.get_running_loop().call_soon(self._arm)
