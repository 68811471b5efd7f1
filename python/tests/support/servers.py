"""Servers for one test each: the real ones as child processes, and the embedded ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Callable, Protocol

import pytest

from .embedded import EmbeddedNsqd, EmbeddedNsqlookupd
from .real import RealNsqd, RealNsqlookupd

#: What `server_kind` goes through.
KINDS = ["real", "embedded"]

#: For a test of what the embedded servers can't do: to keep messages over a restart, to be stopped in their tracks.
real_only = pytest.mark.parametrize("server_kind", ["real"], indirect=True)


class Server(Protocol):
    """What both servers have, of both kinds."""

    host: str
    tcp_port: int
    http_port: int

    @property
    def tcp_address(self) -> str:
        """`host:port`."""

    @property
    def http_address(self) -> str:
        """`http://host:port`."""

    def start(self) -> None:
        """Starts it, on the same ports as before."""

    def stop(self) -> None:
        """Ends it as an operator would."""

    def kill(self) -> None:
        """Ends it without warning."""

    def request(self, path: str, body: bytes | None = None) -> Any:
        """Asks its HTTP side, a POST if there is a body; the JSON of the answer, or its bytes."""


class Nsqd(Server, Protocol):
    """An nsqd."""

    def publish(self, topic: str, *bodies: bytes) -> None:
        """Publishes over HTTP."""

    def stats(self, topic: str, channel: str | None = None) -> dict[str, Any]:
        """The stats of a topic or of a channel, {} if there is none."""

    def create(self, topic: str, channel: str | None = None) -> None:
        """Creates a topic, and a channel."""


class Nsqlookupd(Server, Protocol):
    """An nsqlookupd."""


def nsqd(kind: str) -> Callable[..., Any]:
    """The class of an nsqd of that kind."""
    return RealNsqd if kind == "real" else EmbeddedNsqd


def nsqlookupd(kind: str) -> Callable[..., Any]:
    """The class of an nsqlookupd of that kind."""
    return RealNsqlookupd if kind == "real" else EmbeddedNsqlookupd


@contextmanager
def started(server: Callable[..., Any], directory: Path) -> Iterator[Callable[..., Any]]:
    """Gives a function that starts a server; all are ended in the end."""
    made: list[Any] = []
    numbers = count()

    def make(**options: Any) -> Any:
        data = directory / f"{server.__name__}-{next(numbers)}"
        data.mkdir()
        one = server(data, **options)
        made.append(one)
        one.start()
        return one

    try:
        yield make
    finally:
        for one in reversed(made):
            one.kill()
