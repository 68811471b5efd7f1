"""A message that a low-level connection has received: its answers are commands of that connection."""

from __future__ import annotations

from typing import Protocol

from .message import Message


class Connection(Protocol):
    """Where a message came from."""

    def finish(self, message_id: bytes) -> object:
        """Sends FIN."""

    def requeue(self, message_id: bytes, timeout: int = 0, backoff: bool = True) -> object:
        """Sends REQ."""

    def touch(self, message_id: bytes) -> object:
        """Sends TOUCH."""

    def ensure_connected(self) -> None:
        """Raises unless it is connected."""


class NsqdMessage(Message):
    """A message of an :class:`NsqdTCPClient`. One that is dropped stays in flight until nsqd's time for it is over."""

    def __init__(self, connection: Connection, timestamp: int, attempts: int, id: bytes, body: bytes) -> None:
        super().__init__(timestamp, attempts, id, body)
        self._connection = connection

    def finish(self) -> None:
        """The message is done: nsqd forgets it.

        :raises NSQException: when it was answered before, or its connection has ended
        """
        self._connection.ensure_connected()
        super().finish()
        self._connection.finish(self.id)

    def requeue(self, time_ms: int = 0, backoff: bool = True) -> None:
        """The message goes back, to be delivered again after `time_ms` milliseconds.

        :raises NSQException: as of :meth:`finish`
        """
        self._connection.ensure_connected()
        super().requeue(time_ms, backoff)
        self._connection.requeue(self.id, time_ms, backoff)

    def touch(self) -> None:
        """Asks nsqd for more time: the message timeout again from now.

        :raises NSQException: as of :meth:`finish`
        """
        self._connection.ensure_connected()
        super().touch()
        self._connection.touch(self.id)
