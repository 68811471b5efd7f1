"""An nsqd in a greenlet of this thread: a client that holds up the hub waits for it for ever."""

from __future__ import annotations

import struct
from typing import Any

import gevent
from gevent.server import StreamServer

RESPONSE, ERROR, MESSAGE = 0, 1, 2


class FakeNsqd:
    """Knows just enough of the protocol: it answers, and sends each subscriber the messages that it was made with."""

    def __init__(self, *bodies: bytes) -> None:
        self._bodies = bodies
        #: The commands of all connections, each a line and the body that came with it.
        self.commands: list[tuple[bytes, bytes]] = []
        #: Seconds it takes for each answer.
        self.delay = 0.0
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    def __enter__(self) -> FakeNsqd:
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop(timeout=1)

    @property
    def port(self) -> int:
        """Where it listens."""
        port = self._server.server_port
        assert port is not None
        return int(port)

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def lines(self, word: bytes) -> list[bytes]:
        """The commands that begin with this word."""
        return [line for line, _ in self.commands if line.split(b" ")[0] == word]

    def _serve(self, socket: Any, _address: Any) -> None:
        stream = socket.makefile("rb")
        if stream.read(4) != b"  V2":
            return
        while line := stream.readline():
            line = line.rstrip(b"\n")
            word = line.split(b" ")[0]
            body = stream.read(*struct.unpack(">l", stream.read(4))) if word in _WITH_BODY else b""
            self.commands.append((line, body))
            gevent.sleep(self.delay)
            if word in _ANSWERED:
                socket.sendall(_frame(RESPONSE, b"CLOSE_WAIT" if word == b"CLS" else b"OK"))
            if word == b"SUB":
                for number, message in enumerate(self._bodies):
                    socket.sendall(_frame(MESSAGE, struct.pack(">qH16s", number, 1, b"%016d" % number) + message))


def _frame(kind: int, data: bytes) -> bytes:
    return struct.pack(">ll", 4 + len(data), kind) + data


_WITH_BODY = (b"IDENTIFY", b"AUTH", b"PUB", b"DPUB", b"MPUB")
_ANSWERED = (b"IDENTIFY", b"SUB", b"PUB", b"DPUB", b"MPUB", b"CLS")
