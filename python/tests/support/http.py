"""Asking a server's HTTP side in plain words, independent of what is tested."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen


class HttpSide:
    """For a server that has a `host` and an `http_port`."""

    host: str
    http_port: int
    tcp_port: int

    @property
    def tcp_address(self) -> str:
        """`host:port`."""
        return f"{_literal(self.host)}:{self.tcp_port}"

    @property
    def http_address(self) -> str:
        """`http://host:port`."""
        return f"http://{_literal(self.host)}:{self.http_port}"

    def request(self, path: str, body: bytes | None = None) -> Any:
        """Asks, a POST if there is a body; the JSON of the answer, or its bytes."""
        request = Request(self.http_address + path, data=body)
        with urlopen(request, timeout=30) as response:
            data = response.read()
        return json.loads(data) if data[:1] in (b"{", b"[") else data


class NsqdSide(HttpSide):
    """An nsqd's HTTP side."""

    def publish(self, topic: str, *bodies: bytes) -> None:
        """Publishes each body as a message."""
        for body in bodies:
            self.request(f"/pub?{urlencode({'topic': topic})}", body)

    def stats(self, topic: str, channel: str | None = None) -> dict[str, Any]:
        """The stats of a topic or of a channel, {} if there is none."""
        topics = self.request(f"/stats?{urlencode({'format': 'json', 'topic': topic})}")["topics"]
        if not topics or channel is None:
            return topics[0] if topics else {}
        found = [one for one in topics[0]["channels"] if one["channel_name"] == channel]
        return found[0] if found else {}

    def create(self, topic: str, channel: str | None = None) -> None:
        """Creates a topic, and a channel."""
        self.request(f"/topic/create?{urlencode({'topic': topic})}", b"")
        if channel is not None:
            self.request(f"/channel/create?{urlencode({'topic': topic, 'channel': channel})}", b"")


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
