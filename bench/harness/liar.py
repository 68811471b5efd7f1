"""A client that says that it did its work, and did not quite: what the check of nsqd's counters must notice.

`liar.py LIE WORK COUNT HOST:PORT …`, where LIE is `none` or one of `LIES`.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections.abc import Iterator

#: What can be wrong, and with which work.
LIES = {
    "lose": "publish",
    "double": "publish",
    "change": "publish",
    "leave": "consume",
    "repeat": "consume",
}


def main() -> None:
    """Does about what the command line says."""
    lie, work, count, address = sys.argv[1:5]
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as stream:
        stream.sendall(b"  V2")
        (publish if work == "publish" else consume)(stream, lie, int(count))
    print(json.dumps({"seconds": 1.0, "cpu": 1.0, "peak_kib": 1, "threads": 1}))


def publish(stream: socket.socket, lie: str, count: int) -> None:
    """One message too few, one too many, or one that is shorter."""
    for number in range(count + {"lose": -1, "double": 1}.get(lie, 0)):
        body = b"x" * (199 if lie == "change" and number == 0 else 200)
        stream.sendall(b"PUB bench\n" + struct.pack(">I", len(body)) + body)
    answers = stream.makefile("rb")
    for _ in range(number + 1):
        answers.read(10)


def consume(stream: socket.socket, lie: str, count: int) -> None:
    """One message is not finished, or is had twice."""
    stream.sendall(b"SUB bench bench\nRDY 100\n")
    for number, message in enumerate(frames(stream)):
        command = b"FIN %s\n" % message[10:26]
        if number == 0 and lie == "leave":
            command = b""
        elif number == 0 and lie == "repeat":
            command = b"REQ %s 0\n" % message[10:26]
        stream.sendall(command)
        if number + 1 == count + (lie == "repeat"):
            break


def frames(stream: socket.socket) -> Iterator[bytes]:
    """Messages as they come."""
    input = stream.makefile("rb")
    while True:
        size, kind = struct.unpack(">II", input.read(8))
        data = input.read(size - 4)
        if kind == 2:
            yield data


if __name__ == "__main__":
    main()
