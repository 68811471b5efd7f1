"""An nsqd of its own for each run, and what it counts."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

from . import places, process

TOPIC = "bench"
CHANNEL = "bench"
#: An MPUB that fills a channel has so many bytes at most, and so many messages.
_BATCH_BYTES = 1024 * 1024
_BATCH = 1000
#: All messages stay in memory: the disk is not what is measured. nsqd takes the room for so many references for each
#: topic and each channel when it is made, so that many topics share it.
_MEM_QUEUE_SIZE = 20_000_000
_PATIENCE = 30.0
_MEMORY = "/dev/shm"  # noqa: S108


class Lost(Exception):
    """nsqd's counters say that a run did not do what it should have."""


class Server:
    """A running server with the topics and a channel each, on free ports, its data in a temporary directory."""

    def __init__(self, command: Sequence[str | Path], topics: int = 1) -> None:
        self.topics = [TOPIC] if topics == 1 else [f"{TOPIC}-{number}" for number in range(topics)]
        # In memory, where there is such a place: nsqd writes down each topic that it gets, and waits for the disk.
        place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self._directory = tempfile.TemporaryDirectory(prefix="gnsq-bench-", dir=place)
        directory = Path(self._directory.name)
        self._log = directory / "log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part).format(directory=directory) for part in command],
                stdout=output,
                stderr=output,
                # Ctrl-C is for the driver, which ends this one when the run is over.
                start_new_session=True,
            )
        try:
            self.tcp, self._http = self._listening("TCP"), self._listening("HTTP")
            for topic in self.topics:
                create(self._http, topic)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """What it has used so far."""
        return process.cpu_seconds(self.pid)

    def memory_kib(self) -> int:
        """What is resident now."""
        return process.memory_kib(self.pid)

    def fill(self, bodies: Iterator[bytes], count: int, wait: bool = True) -> None:
        """Publishes so many messages to the topics in turn, and waits until the channels have them."""
        publish(self.tcp, self.topics, bodies, count)
        if wait:
            self.eventually(
                lambda: sum(channel["depth"] for channel in self.channels()) == count,
                f"the channels do not get {count} messages",
            )

    def stats(self) -> list[dict[str, Any]]:
        """What it tells of the topics."""
        url = f"http://{self._http}/stats?format=json"
        with urllib.request.urlopen(url, timeout=_PATIENCE) as answer:
            topics = {topic["topic_name"]: topic for topic in json.load(answer)["topics"]}
        return [topics[name] for name in self.topics]

    def channels(self) -> list[dict[str, Any]]:
        """What it tells of the channels."""
        return [topic["channels"][0] for topic in self.stats()]

    def connected(self) -> int:
        """How many consumers are connected."""
        return sum(int(channel["client_count"]) for channel in self.channels())

    def check_consumed(self, count: int) -> None:
        """All messages were finished, each with its first attempt."""
        self.eventually(lambda: self.connected() == 0, "a consumer does not go")
        expected = {"message_count": count, "depth": 0, "backend_depth": 0, "in_flight_count": 0}
        expected |= {"deferred_count": 0, "requeue_count": 0, "timeout_count": 0}
        _compare(self.channels(), expected)

    def check_published(self, count: int, size: int) -> None:
        """It has all messages, none twice and none on the disk."""
        _compare(self.stats(), {"message_count": count, "message_bytes": size, "backend_depth": 0})

    def eventually(self, predicate: Callable[[], bool], otherwise: str) -> None:
        """Waits for it."""
        deadline = time.monotonic() + _PATIENCE
        while not predicate():
            if time.monotonic() > deadline:
                raise Lost(otherwise)
            time.sleep(0.002)

    def _listening(self, kind: str) -> str:
        found: list[str] = []

        def is_there() -> bool:
            if self._process.poll() is not None:
                raise Lost(f"the server ended: {self._log.read_text()}")
            found.extend(re.findall(rf"{kind}: listening on (\S+)", self._log.read_text()))
            return bool(found)

        self.eventually(is_there, f"the server does not listen for {kind}")
        return found[0]


def create(http: str, topic: str) -> None:
    """Creates a topic and its channel."""
    for path in (f"/topic/create?topic={topic}", f"/channel/create?topic={topic}&channel={CHANNEL}"):
        urllib.request.urlopen(f"http://{http}{path}", data=b"", timeout=_PATIENCE).close()


def publish(address: str, topics: Sequence[str], bodies: Iterator[bytes], count: int) -> None:
    """Publishes so many messages to the topics in turn."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=_PATIENCE) as stream:
        stream.sendall(b"  V2")
        answers = stream.makefile("rb")
        left, turn = count, 0
        while left:
            batch: list[bytes] = []
            size = 4
            most = min(left, _BATCH, -(-count // len(topics)))
            while len(batch) < most and size < _BATCH_BYTES:
                body = next(bodies)
                batch.append(struct.pack(">I", len(body)) + body)
                size += len(batch[-1])
            head = f"MPUB {topics[turn % len(topics)]}\n".encode() + struct.pack(">II", size, len(batch))
            stream.sendall(b"".join((head, *batch)))
            answer = answers.read(10)
            if answer[8:] != b"OK":
                raise Lost(f"nsqd refuses: {answer!r}")
            left -= len(batch)
            turn += 1


def nsqd(program: Path, *more: str, topics: int = 1) -> Server:
    """The real one."""
    command: tuple[str | Path, ...] = (
        program,
        "--tcp-address=127.0.0.1:0",
        "--http-address=127.0.0.1:0",
        "--data-path={directory}",
        f"--mem-queue-size={_MEM_QUEUE_SIZE // topics}",
        *more,
    )
    return Server(command, topics)


def embedded(topics: int = 1) -> Server:
    """gnsq-server's, in a process of its own."""
    return Server((places.rust_program(), "serve"), topics)


def _compare(counted: list[dict[str, Any]], expected: dict[str, int]) -> None:
    sums = {name: sum(one[name] for one in counted) for name in expected}
    wrong = [f"{name} is {sums[name]}, not {value}" for name, value in expected.items() if sums[name] != value]
    if wrong:
        raise Lost("; ".join(wrong))
