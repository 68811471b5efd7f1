"""What Python itself costs where a publish waits: the floors under this package's figures.

    python3 bench/floors.py

A blocking socket, a socket of gevent and an asyncio protocol that publish one message at a time to a fresh nsqd, and a
hundred threads that are only woken and sleep again, without any I/O. gevent is in the bench's environments: without one
in the interpreter that runs this, it is run by theirs, which `bench/run --suite python` makes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import resource
import socket
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import places
from harness.server import nsqd

_BODY = b"x" * 200
_COMMAND = b"PUB bench\n" + struct.pack(">I", len(_BODY)) + _BODY
_ROUNDS = 3


def main() -> None:
    """Measures each a few times, in turn."""
    theirs = places.venv_python("ours")
    if not importlib.util.find_spec("gevent") and theirs.exists():
        os.execv(theirs, [str(theirs), __file__])  # noqa: S606
    for _ in range(_ROUNDS):
        with nsqd(places.nsqd()) as server:
            host, port = server.tcp.rsplit(":", 1)
            publish("a blocking socket, one at a time", socket.create_connection((host, int(port))), 20_000)
            if importlib.util.find_spec("gevent"):
                gevent_socket = importlib.import_module("gevent.socket")
                stream = gevent_socket.create_connection((host, int(port)))
                publish("a socket of gevent, one at a time", stream, 15_000)
            asyncio.run(with_asyncio(host, int(port), 15_000))
        threads(200_000, 100)


def publish(name: str, stream: socket.socket, count: int) -> None:
    """One message at a time."""
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.sendall(b"  V2")
    began = _now()
    for _ in range(count):
        stream.sendall(_COMMAND)
        _check(stream.recv(100))
    _report(name, count, began)
    stream.close()


class _Answers(asyncio.Protocol):
    next: asyncio.Future[bytes]

    def data_received(self, data: bytes) -> None:
        self.next.set_result(data)


async def with_asyncio(host: str, port: int, count: int) -> None:
    """The same by the leanest that asyncio has."""
    loop = asyncio.get_running_loop()
    transport, answers = await loop.create_connection(_Answers, host, port)
    transport.write(b"  V2")
    began = _now()
    for _ in range(count):
        answers.next = loop.create_future()
        transport.write(_COMMAND)
        _check(await answers.next)
    _report("an asyncio protocol, one at a time", count, began)
    transport.close()


def threads(count: int, among: int) -> None:
    """Wakes so many threads, waits until all have run, and again."""
    locks = [threading.Lock() for _ in range(among)]
    for lock in locks:
        lock.acquire()
    mutex, all_ran = threading.Lock(), threading.Lock()
    all_ran.acquire()
    left = [0]

    def work(lock: threading.Lock) -> None:
        for _ in range(count // among):
            lock.acquire()
            with mutex:
                left[0] -= 1
                is_last = left[0] == 0
            if is_last:
                all_ran.release()

    workers = [threading.Thread(target=work, args=(lock,)) for lock in locks]
    for worker in workers:
        worker.start()
    began = _now()
    for _ in range(count // among):
        left[0] = among
        for lock in locks:
            lock.release()
        all_ran.acquire()
    _report(f"{among} threads, woken and asleep again", count, began)
    for worker in workers:
        worker.join()


def _now() -> tuple[float, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime


def _report(name: str, count: int, began: tuple[float, float]) -> None:
    wall, cpu = (now - then for now, then in zip(_now(), began))
    print(f"{name}: {count / wall:,.0f}/s, {cpu * 1e6 / count:.1f} us of CPU", flush=True)


def _check(answer: bytes) -> None:
    if answer[8:] != b"OK":
        raise SystemExit(f"nsqd said {answer!r}")


if __name__ == "__main__":
    main()
