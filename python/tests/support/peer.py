"""A server whose test says what it sends and what it has to be sent. Under gevent it runs in the thread of the client:
one that blocks the hub waits for ever."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

from gnsq.nsqd import NsqdTCPClient

from . import mode
from .workers import Worker, spawn_worker

if mode.IS_GEVENT:
    from gevent import socket
else:
    import socket  # type: ignore[no-redef]

RESPONSE, ERROR, MESSAGE = 0, 1, 2
OK = b"OK"
HEARTBEAT = b"_heartbeat_"


def frame(kind: int, data: bytes) -> bytes:
    """The bytes of a frame."""
    return struct.pack(">ii", len(data) + 4, kind) + data


def message_frame(number: int, body: bytes = b"body", attempts: int = 1) -> bytes:
    """The bytes of a message; its id is the number."""
    return frame(MESSAGE, struct.pack(">qH", number, attempts) + b"%016d" % number + body)


class Connection:
    """The server's end of a connection."""

    def __init__(self, connection: Any) -> None:
        self._socket = connection
        self._socket.settimeout(30)

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer if there are no more."""
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                break
            data += piece
        return data

    def expect(self, data: bytes) -> None:
        """Reads what has to be these bytes."""
        assert self.read(len(data)) == data

    def expect_identify(self) -> dict[str, Any]:
        """Reads IDENTIFY; returns what it asks for."""
        self.expect(b"IDENTIFY\n")
        (size,) = struct.unpack(">i", self.read(4))
        given: dict[str, Any] = json.loads(self.read(size))
        return given

    def expect_end(self) -> None:
        """The client has nothing more to send."""
        assert self._socket.recv(1024) == b""

    def send(self, data: bytes) -> None:
        """Sends bytes."""
        self._socket.sendall(data)

    def respond(self, data: bytes = OK) -> None:
        """Sends a response."""
        self.send(frame(RESPONSE, data))

    def error(self, data: bytes) -> None:
        """Sends an error."""
        self.send(frame(ERROR, data))

    def reset(self) -> None:
        """Ends it rudely."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


class Peer:
    """Listens for one client, and runs the script with its connection."""

    def __init__(self, script: Callable[[Connection], object], host: str) -> None:
        self._script = script
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind((host, 0))
        self._listener.listen(1)
        self._listener.settimeout(30)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.worker: Worker = spawn_worker(self._run)

    def _run(self) -> None:
        accepted, _ = self._listener.accept()
        self._listener.close()
        connection = Connection(accepted)
        try:
            connection.expect(b"  V2")
            self._script(connection)
        finally:
            connection.close()


@contextmanager
def scripted(script: Callable[[Connection], object], host: str = "127.0.0.1") -> Iterator[Peer]:
    """A server for one connection, which begins behind the protocol's magic. What the script raises fails the test."""
    peer = Peer(script, host)
    try:
        yield peer
    except BaseException as failure:
        # What went wrong over there is likely the cause.
        if peer.worker.join(0.2):
            try:
                peer.worker.result()
            except BaseException as cause:
                raise failure from cause
        raise
    peer.worker.result()


def connected(peer: Peer, **options: Any) -> NsqdTCPClient:
    """A client that is connected to the server."""
    conn = NsqdTCPClient(peer.host, peer.port, **options)
    conn.connect()
    return conn
