"""Tasks that wait for one thing again and again, as for messages."""

from __future__ import annotations

import asyncio
from collections import deque

from .. import _core
from .._modes import Waitable
from ._bridge import bridge


class Ready:
    """Wakes tasks when something is ready. Waits that are cancelled leave nothing behind and lose no wake-up."""

    def __init__(self, waitable: Waitable) -> None:
        self._waitable = waitable
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_armed = False

    async def wait(self) -> None:
        """Returns when it is ready, unless somebody else was faster."""
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
            bridge().arm(self._waitable, self._wake)

    def _wake(self) -> None:
        self._is_armed = False
        wanted = self._wanted()
        while wanted > 0 and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                wanted -= 1
        if self._waiting:
            # Once those have taken theirs. What they leave is told at once.
            asyncio.get_running_loop().call_soon(self._arm)

    def _wanted(self) -> int:
        """How many tasks have something to do."""
        return len(self._waiting)


class ReadyLine(Ready):
    """Wakes as many tasks as there are messages in a line, or all when it is closed."""

    def __init__(self, line: _core.Line) -> None:
        super().__init__(line)
        self._line = line

    def _wanted(self) -> int:
        return super()._wanted() if self._line.is_closed() else self._line.count()
