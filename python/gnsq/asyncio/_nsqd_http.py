"""The HTTP API of an nsqd under asyncio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _nsqd_calls
from .._http_call import Data, Name, change
from ..httpclient import USERAGENT
from ._http import HTTPClient


class NsqdHTTPClient(HTTPClient):
    """A client of an nsqd's HTTP API::

        nsqd = NsqdHTTPClient("localhost", 4151)
        await nsqd.publish("orders", b"a tea")
        (await nsqd.stats("orders"))["topics"][0]["depth"]

    Its arguments are those of :class:`gnsq.NsqdHTTPClient`, and its methods are coroutines. Each raises `NSQHttpError`
    for any answer but success, `NSQSocketError` when there is none, and `ValueError` for a bad name, before anything is
    sent.
    """

    default_port = 4151

    def __init__(self, host: str = "localhost", port: int | None = 4151, useragent: str = USERAGENT, **kw: Any) -> None:
        super().__init__(host, port, useragent, **kw)

    async def publish(self, topic: Name, data: Data, defer: int | None = None) -> bytes:
        """Publishes a message; nsqd has it when this returns `b"OK"`. A str is sent as UTF-8. Consumers get it after
        `defer` ms."""
        return await self._call(_nsqd_calls.publish(topic, data, defer))

    async def multipublish(self, topic: Name, messages: Iterable[Data], binary: bool = False) -> bytes:
        """Publishes messages with one request. With `binary` they may have any bytes in them, otherwise no newlines.

        :raises NSQException: without `binary`, for a message that is empty or has a newline in it
        """
        return await self._call(_nsqd_calls.multipublish(topic, messages, binary))

    async def create_topic(self, topic: Name) -> bytes:
        """Creates a topic, unless it is there."""
        return await self._call(change("/topic/create", topic))

    async def delete_topic(self, topic: Name) -> bytes:
        """Deletes a topic with its channels and all their messages."""
        return await self._call(change("/topic/delete", topic))

    async def empty_topic(self, topic: Name) -> bytes:
        """Drops the messages that wait in a topic itself. Its channels keep theirs."""
        return await self._call(change("/topic/empty", topic))

    async def pause_topic(self, topic: Name) -> bytes:
        """Holds a topic's messages back from its channels. Publishing goes on."""
        return await self._call(change("/topic/pause", topic))

    async def unpause_topic(self, topic: Name) -> bytes:
        """Ends a topic's pause."""
        return await self._call(change("/topic/unpause", topic))

    async def create_channel(self, topic: Name, channel: Name) -> bytes:
        """Creates a channel of a topic that is there, unless it is there too."""
        return await self._call(change("/channel/create", topic, channel))

    async def delete_channel(self, topic: Name, channel: Name) -> bytes:
        """Deletes a channel and its messages."""
        return await self._call(change("/channel/delete", topic, channel))

    async def empty_channel(self, topic: Name, channel: Name) -> bytes:
        """Drops a channel's messages, those in flight included."""
        return await self._call(change("/channel/empty", topic, channel))

    async def pause_channel(self, topic: Name, channel: Name) -> bytes:
        """Holds a channel's messages back from its consumers."""
        return await self._call(change("/channel/pause", topic, channel))

    async def unpause_channel(self, topic: Name, channel: Name) -> bytes:
        """Ends a channel's pause."""
        return await self._call(change("/channel/unpause", topic, channel))

    async def stats(self, topic: Name | None = None, channel: Name | None = None, text: bool = False) -> Any:
        """The statistics, or those of a topic or channel: a dict, or with `text` bytes that are made for people."""
        if text:
            return await self._call(_nsqd_calls.stats_text(topic, channel))
        return await self._call(_nsqd_calls.stats(topic, channel))
