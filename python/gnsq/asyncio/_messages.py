"""Messages in an ``async for`` loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from .. import _core
from .._core import Message
from ._ready import Ready

if TYPE_CHECKING:
    from ._consumer import Consumer


class Messages(AsyncIterator[Message]):
    """Gives out one message after the other, and finishes the one before. Several may share the messages of a
    consumer: each message comes to one of them.

    What gives it up gives back the message in hand, unless that was answered or is async: a ``break``, a ``return``, an
    exception, a cancellation, or :meth:`aclose` where one keeps it in a variable.
    """

    def __init__(self, consumer: Consumer, line: _core.Line, ready: Ready) -> None:
        self._consumer = consumer
        self._line = line
        self._ready = ready
        self._messages = line.messages()

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message:
        messages = self._messages
        while True:
            message = next(messages, None)
            if message is not None:
                return message
            # From here to the next turn none is in hand, so that a cancellation loses none.
            exhausted = self._consumer._after_turn(messages)
            if exhausted is not None:
                await self._consumer._give_up(exhausted)
            elif self._line.is_closed():
                raise StopAsyncIteration
            else:
                await self._ready.wait()
            messages.turn(self._consumer.max_tries)

    async def aclose(self) -> None:
        """Gives back the message in hand."""
        self._messages.give_back()

    def __del__(self) -> None:
        self._messages.give_back()
