"""The HTTP API of an nsqlookupd under asyncio."""

from __future__ import annotations

from typing import Any

from .. import _lookupd_calls
from .._http_call import Name, change
from ..httpclient import USERAGENT
from ._http import HTTPClient


class LookupdClient(HTTPClient):
    """A client of an nsqlookupd's HTTP API::

        lookupd = LookupdClient("localhost", 4161)
        for nsqd in (await lookupd.lookup("orders"))["producers"]:
            print(nsqd["broadcast_address"], nsqd["tcp_port"])

    Its arguments are those of :class:`gnsq.LookupdClient`, and its methods are coroutines. Each raises `NSQHttpError`
    for any answer but success, `NSQSocketError` when there is none, and `ValueError` for a bad name, before anything is
    sent.
    """

    default_port = 4161

    def __init__(self, host: str = "localhost", port: int | None = 4161, useragent: str = USERAGENT, **kw: Any) -> None:
        super().__init__(host, port, useragent, **kw)

    async def lookup(self, topic: Name) -> Any:
        """The channels of a topic, and its `producers`: the nsqds that have it.

        :raises NSQHttpError: `"TOPIC_NOT_FOUND 404"` for a topic that nobody has
        """
        return await self._call(_lookupd_calls.lookup(topic))

    async def topics(self) -> Any:
        """All topics: `{"topics": [...]}`."""
        return await self._call(_lookupd_calls.topics())

    async def channels(self, topic: Name) -> Any:
        """A topic's channels: `{"channels": [...]}`."""
        return await self._call(_lookupd_calls.channels(topic))

    async def nodes(self) -> Any:
        """All nsqds with their topics: `{"producers": [...]}`."""
        return await self._call(_lookupd_calls.nodes())

    async def create_topic(self, topic: Name) -> bytes:
        """Makes a topic known."""
        return await self._call(change("/topic/create", topic))

    async def delete_topic(self, topic: Name) -> bytes:
        """Forgets a topic. The nsqds that have it keep it, and register it again when they reconnect."""
        return await self._call(change("/topic/delete", topic))

    async def create_channel(self, topic: Name, channel: Name) -> bytes:
        """Makes a channel known, and its topic."""
        return await self._call(change("/channel/create", topic, channel))

    async def delete_channel(self, topic: Name, channel: Name) -> bytes:
        """Forgets a channel."""
        return await self._call(change("/channel/delete", topic, channel))

    async def tombstone_topic(self, topic: Name, node: str) -> bytes:
        """Hides an nsqd from lookups of a topic for a while: consumers leave it before the topic is deleted there.

        :param node: the nsqd's `"broadcast_address:http_port"`
        """
        return await self._call(_lookupd_calls.tombstone_topic(topic, node))
