"""Clients of one nsqd: :class:`NsqdTCPClient`, :class:`NsqdHTTPClient`, and both in one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from ._http_call import Data, Name
from ._nsqd_http import NsqdHTTPClient
from ._nsqd_tcp import NsqdTCPClient
from .httpclient import url_parts

__all__ = ["Nsqd", "NsqdHTTPClient", "NsqdTCPClient"]


class Nsqd(NsqdTCPClient):
    """Deprecated: use :class:`NsqdTCPClient` or :class:`NsqdHTTPClient`. It is both: the first with all its methods and
    attributes, and the methods of the second, which need no connection.

    `connection_options` are those of :class:`NsqdTCPClient`; a `timeout` is that of HTTP requests, too.
    """

    def __init__(
        self, address: str = "127.0.0.1", tcp_port: int = 4150, http_port: int = 4151, **connection_options: Any
    ) -> None:
        warnings.warn("Nsqd is deprecated: use NsqdTCPClient or NsqdHTTPClient", DeprecationWarning, stacklevel=2)
        super().__init__(address, tcp_port, **connection_options)
        self.tcp_port = self.port
        timeout = {"timeout": self.timeout} if "timeout" in connection_options else {}
        self._http = NsqdHTTPClient(address, http_port, self.user_agent, **timeout)
        self.http_port = self._http.port

    @classmethod
    def from_url(cls, url: str, **connection_options: Any) -> Nsqd:
        """One whose HTTP side is at `"http://host:port"`."""
        parts = url_parts(url)
        ports = {} if parts.get("port") is None else {"http_port": parts["port"]}
        return cls(**{"address": parts["host"], **ports, **connection_options})

    @property
    def base_url(self) -> str:
        """The URL of the HTTP side."""
        return self._http.address

    @property
    def host(self) -> str:
        """The host of the HTTP side."""
        return self._http.host

    @property
    def scheme(self) -> str:
        """The scheme of the HTTP side."""
        return self._http.scheme

    @property
    def useragent(self) -> str:
        """What it calls itself in HTTP requests."""
        return self._http.useragent

    def publish(self, topic: Name, data: Data, defer: int | None = None) -> bytes | None:  # type: ignore[override]
        """Publishes over TCP when it is connected, else over HTTP."""
        if self.is_connected:
            self.publish_tcp(topic, data, defer)
            return None
        return self.publish_http(topic, data, defer)

    def multipublish(self, topic: Name, messages: Iterable[Data]) -> bytes | None:  # type: ignore[override]
        """Publishes several messages over TCP when it is connected, else over HTTP."""
        if self.is_connected:
            self.multipublish_tcp(topic, messages)
            return None
        # Any bytes, as over TCP.
        return self.multipublish_http(topic, messages, binary=True)

    def publish_tcp(self, topic: Name, data: Data, defer: int | None = None) -> None:
        """As :meth:`NsqdTCPClient.publish`."""
        super().publish(topic, data, defer)

    def publish_http(self, topic: Name, data: Data, defer: int | None = None) -> bytes:
        """As :meth:`NsqdHTTPClient.publish`."""
        return self._http.publish(topic, data, defer)

    def multipublish_tcp(self, topic: Name, messages: Iterable[Data]) -> None:
        """As :meth:`NsqdTCPClient.multipublish`."""
        super().multipublish(topic, messages)

    def multipublish_http(self, topic: Name, messages: Iterable[Data], binary: bool = False) -> bytes:
        """As :meth:`NsqdHTTPClient.multipublish`."""
        return self._http.multipublish(topic, messages, binary)

    def create_topic(self, topic: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.create_topic`."""
        return self._http.create_topic(topic)

    def delete_topic(self, topic: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.delete_topic`."""
        return self._http.delete_topic(topic)

    def empty_topic(self, topic: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.empty_topic`."""
        return self._http.empty_topic(topic)

    def pause_topic(self, topic: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.pause_topic`."""
        return self._http.pause_topic(topic)

    def unpause_topic(self, topic: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.unpause_topic`."""
        return self._http.unpause_topic(topic)

    def create_channel(self, topic: Name, channel: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.create_channel`."""
        return self._http.create_channel(topic, channel)

    def delete_channel(self, topic: Name, channel: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.delete_channel`."""
        return self._http.delete_channel(topic, channel)

    def empty_channel(self, topic: Name, channel: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.empty_channel`."""
        return self._http.empty_channel(topic, channel)

    def pause_channel(self, topic: Name, channel: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.pause_channel`."""
        return self._http.pause_channel(topic, channel)

    def unpause_channel(self, topic: Name, channel: Name) -> bytes:
        """As :meth:`NsqdHTTPClient.unpause_channel`."""
        return self._http.unpause_channel(topic, channel)

    def stats(self, topic: Name | None = None, channel: Name | None = None, text: bool = False) -> Any:
        """As :meth:`NsqdHTTPClient.stats`."""
        return self._http.stats(topic, channel, text)

    def ping(self) -> bytes:
        """As :meth:`NsqdHTTPClient.ping`."""
        return self._http.ping()

    def info(self) -> Any:
        """As :meth:`NsqdHTTPClient.info`."""
        return self._http.info()
