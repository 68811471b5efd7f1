"""The HTTP API of an nsqlookupd, for callers that wait."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from . import _lookupd_calls
from ._http_call import Name, change
from .httpclient import USERAGENT, HTTPClient, url_parts

__all__ = ["Lookupd", "LookupdClient"]

_Lookupd = TypeVar("_Lookupd", bound="Lookupd")


class LookupdClient(HTTPClient):
    """A client of an nsqlookupd's HTTP API::

        lookupd = LookupdClient("localhost", 4161)
        for nsqd in lookupd.lookup("orders")["producers"]:
            print(nsqd["broadcast_address"], nsqd["tcp_port"])

    For the arguments see :class:`gnsq.httpclient.HTTPClient`. Every method raises `NSQHttpError` for any answer but
    success, `NSQSocketError` when there is none, and `ValueError` for a bad name, before anything is sent.
    """

    default_port = 4161

    def __init__(self, host: str = "localhost", port: int | None = 4161, useragent: str = USERAGENT, **kw: Any) -> None:
        super().__init__(host, port, useragent, **kw)

    def lookup(self, topic: Name) -> Any:
        """The channels of a topic, and its `producers`: the nsqds that have it.

        :raises NSQHttpError: `"TOPIC_NOT_FOUND 404"` for a topic that nobody has
        """
        return self._call(_lookupd_calls.lookup(topic))

    def topics(self) -> Any:
        """All topics: `{"topics": [...]}`."""
        return self._call(_lookupd_calls.topics())

    def channels(self, topic: Name) -> Any:
        """A topic's channels: `{"channels": [...]}`."""
        return self._call(_lookupd_calls.channels(topic))

    def nodes(self) -> Any:
        """All nsqds with their topics: `{"producers": [...]}`."""
        return self._call(_lookupd_calls.nodes())

    def create_topic(self, topic: Name) -> bytes:
        """Makes a topic known."""
        return self._call(change("/topic/create", topic))

    def delete_topic(self, topic: Name) -> bytes:
        """Forgets a topic. The nsqds that have it keep it, and register it again when they reconnect."""
        return self._call(change("/topic/delete", topic))

    def create_channel(self, topic: Name, channel: Name) -> bytes:
        """Makes a channel known, and its topic."""
        return self._call(change("/channel/create", topic, channel))

    def delete_channel(self, topic: Name, channel: Name) -> bytes:
        """Forgets a channel."""
        return self._call(change("/channel/delete", topic, channel))

    def tombstone_topic(self, topic: Name, node: str) -> bytes:
        """Hides an nsqd from lookups of a topic for a while: consumers leave it before the topic is deleted there.

        :param node: the nsqd's `"broadcast_address:http_port"`
        """
        return self._call(_lookupd_calls.tombstone_topic(topic, node))


class Lookupd(LookupdClient):
    """Deprecated: use :class:`LookupdClient`, and its `from_url`."""

    def __init__(self, address: str = "http://localhost:4161/", **kw: Any) -> None:
        warnings.warn("Lookupd is deprecated: use LookupdClient", DeprecationWarning, stacklevel=2)
        super().__init__(**{**url_parts(address), **kw})

    @classmethod
    def from_url(cls: type[_Lookupd], url: str, **kwargs: Any) -> _Lookupd:
        """The same as the class itself."""
        return cls(url, **kwargs)

    @property
    def base_url(self) -> str:
        """The server's URL."""
        return self.address

    def tombstone_topic_producer(self, topic: Name, node: str) -> bytes:
        """The old name of `tombstone_topic`."""
        return self.tombstone_topic(topic, node)
