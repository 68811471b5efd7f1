"""The embedded nsqd beside the real one: the same load, by the plain socket loop."""

from __future__ import annotations

import itertools
import socket
import time

from . import bodies, places
from .clients import SOCKET_LOOP, Client
from .measure import Run
from .server import CHANNEL, TOPIC, Server, embedded, nsqd
from .suites import Suite
from .works import Options, Work

#: The socket loop, on one of the servers.
NSQD = Client("nsqd", "nsqd 1.3.0", SOCKET_LOOP.command, "rust")
EMBEDDED = Client("gnsq-server", "gnsq-server", SOCKET_LOOP.command, "rust")
BOTH = (NSQD, EMBEDDED)
_QUEUED = 500_000


def _work(name: str, title: str, program: str, rate: int, **options: int) -> Work:
    told: Options = {"outstanding": 100 if program == "publish" else 1, "max-in-flight": 2500, **options}
    return Work(f"server-{name}", title, program, {"nsqd": rate, "gnsq-server": 2 * rate}, told)


WORKS = (
    _work("publish-1", "PUB, 100 unanswered, 1 topic", "publish", 120_000),
    _work("publish-100", "PUB, 100 unanswered, 100 topics", "publish", 100_000, topics=100),
    _work("mpub-1", "MPUB of 200, 1 topic", "multipublish", 1_000_000),
    _work("mpub-100", "MPUB of 200, 100 topics", "multipublish", 700_000, topics=100),
    _work("consume-1-1", "consume, 1 topic, 1 consumer", "consume", 600_000),
    _work("consume-1-10", "consume, 1 topic, 10 consumers", "consume", 500_000, consumers=10),
    _work("consume-100-1", "consume, 100 topics, 1 consumer each", "consume", 400_000, topics=100),
)
MEMORY, START = "server-memory", "server-start"


def _start(client: Client, work: Work) -> Server:
    return _server(client, int(work.options.get("topics", 1)))


def _server(client: Client, topics: int = 1) -> Server:
    return embedded(topics) if client is EMBEDDED else nsqd(places.nsqd(), topics=topics)


def _more(rounds: int) -> list[Run]:
    return [run(client, turn) for turn in range(rounds) for client in BOTH for run in (_memory, _first_message)]


def _memory(client: Client, turn: int) -> Run:
    """Memory for each message that is queued: `bytes`."""
    with _server(client) as server:
        server.fill(bodies.plain(200), 1000)
        before, began, cpu = server.memory_kib(), time.monotonic(), server.cpu_seconds()
        server.fill(itertools.repeat(b"x" * 200), _QUEUED, wait=False)
        server.eventually(lambda: server.channels()[0]["depth"] == _QUEUED + 1000, "the channel does not get all")
        grown = (server.memory_kib() - before) * 1024 / _QUEUED
        used, seconds = server.cpu_seconds() - cpu, time.monotonic() - began
    return Run("servers", MEMORY, client.key, turn, _QUEUED, seconds, 0, 0, 0, used, more={"bytes": grown})


def _first_message(client: Client, turn: int) -> Run:
    """From starting the process until a message that was published has been received."""
    began = time.monotonic()
    with _server(client) as server:
        host, port = server.tcp.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=30) as stream:
            stream.sendall(f"  V2PUB {TOPIC}\n\0\0\0\1xSUB {TOPIC} {CHANNEL}\nRDY 1\n".encode())
            answers = stream.makefile("rb")
            # Two times OK, and the message of one byte.
            answers.read(10 + 10 + 8 + 26 + 1)
        seconds, used = time.monotonic() - began, server.cpu_seconds()
    return Run("servers", START, client.key, turn, 1, seconds, 0, 0, 0, used)


SUITE = Suite("servers", WORKS, BOTH, _start, _more)
