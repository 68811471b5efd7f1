"""An nsqd of its own for each run, and what it counts."""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

TOPIC = "bench"
CHANNEL = "bench"
BODY = b"x" * 200
_BATCH = 1000
#: All messages stay in memory: the disk is not what is measured.
_MEM_QUEUE_SIZE = 5_000_000
_PATIENCE = 30.0


class Lost(Exception):
    """nsqd's counters say that a run did not do what it should have."""


class Nsqd:
    """A running nsqd with the topic and the channel, on free ports, its data in a temporary directory."""

    def __init__(self, program: Path) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="gnsq-bench-")
        log = Path(self._directory.name) / "log"
        arguments = (
            "--tcp-address=127.0.0.1:0",
            "--http-address=127.0.0.1:0",
            f"--data-path={self._directory.name}",
            f"--mem-queue-size={_MEM_QUEUE_SIZE}",
        )
        with log.open("wb") as output:
            self._process = subprocess.Popen([str(program), *arguments], stdout=output, stderr=output)
        try:
            self.tcp = self._listening(log, "TCP")
            self._http = self._listening(log, "HTTP")
            self._post(f"/topic/create?topic={TOPIC}")
            self._post(f"/channel/create?topic={TOPIC}&channel={CHANNEL}")
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Nsqd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._directory.cleanup()

    def fill(self, count: int) -> None:
        """Publishes so many messages, and waits until the channel has them."""
        host, port = self.tcp.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as stream:
            stream.sendall(b"  V2")
            answers = stream.makefile("rb")
            left = count
            while left:
                batch = min(left, _BATCH)
                body = struct.pack(">I", batch) + (struct.pack(">I", len(BODY)) + BODY) * batch
                stream.sendall(f"MPUB {TOPIC}\n".encode() + struct.pack(">I", len(body)) + body)
                answer = answers.read(10)
                if answer[8:] != b"OK":
                    raise Lost(f"nsqd refused to be filled: {answer!r}")
                left -= batch
        _eventually(lambda: self.channel()["depth"] == count, f"the channel does not get {count} messages")

    def topic(self) -> dict[str, Any]:
        """What nsqd tells of the topic."""
        with urllib.request.urlopen(
            f"http://{self._http}/stats?format=json&topic={TOPIC}", timeout=_PATIENCE
        ) as answer:
            topic: dict[str, Any] = json.load(answer)["topics"][0]
        return topic

    def channel(self) -> dict[str, Any]:
        """What nsqd tells of the channel."""
        channel: dict[str, Any] = self.topic()["channels"][0]
        return channel

    def check_consumed(self, count: int) -> None:
        """All messages were finished, each with its first attempt."""
        _eventually(lambda: self.channel()["client_count"] == 0, "a consumer does not go")
        channel = self.channel()
        expected = {
            "message_count": count,
            "depth": 0,
            "backend_depth": 0,
            "in_flight_count": 0,
            "deferred_count": 0,
            "requeue_count": 0,
            "timeout_count": 0,
        }
        _compare(channel, expected)

    def check_published(self, count: int) -> None:
        """nsqd has all messages, none twice and none on the disk."""
        topic = self.topic()
        _compare(topic, {"message_count": count, "message_bytes": count * len(BODY), "backend_depth": 0})

    def clients(self) -> int:
        """How many consumers are connected."""
        return int(self.channel()["client_count"])

    def _post(self, path: str) -> None:
        urllib.request.urlopen(f"http://{self._http}{path}", data=b"", timeout=_PATIENCE).close()

    def _listening(self, log: Path, kind: str) -> str:
        found: list[str] = []

        def is_there() -> bool:
            if self._process.poll() is not None:
                raise Lost(f"nsqd ended: {log.read_text()}")
            found.extend(re.findall(rf"{kind}: listening on (\S+)", log.read_text()))
            return bool(found)

        _eventually(is_there, f"nsqd does not listen for {kind}")
        return found[0]


def _compare(counted: dict[str, Any], expected: dict[str, int]) -> None:
    wrong = [f"{name} is {counted[name]}, not {value}" for name, value in expected.items() if counted[name] != value]
    if wrong:
        raise Lost("; ".join(wrong))


def _eventually(predicate: Any, otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not predicate():
        if time.monotonic() > deadline:
            raise Lost(otherwise)
        time.sleep(0.01)
