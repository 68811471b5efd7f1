"""Who is measured, and how each is started.

Every client is a small program with one contract: `PROGRAM WORK COUNT ADDRESS[,ADDRESS…] --name value…`. It connects,
does the work with COUNT messages, and prints one line of JSON: `seconds` and `cpu` (user and system, all threads) from
the moment it was ready to the last confirmed message, `peak_kib` of memory, `threads`, `latencies_us` where the work
asks for them, and how many messages were published to `warm_up` before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import places


@dataclass(frozen=True)
class Client:
    """A program that does works."""

    #: How results and estimates name it.
    key: str
    #: How tables name it.
    title: str
    #: What runs it, before the arguments of the contract.
    command: tuple[str | Path, ...]
    #: Which of `places.BUILDS` it comes from.
    build: str
    #: What it is told beside what the work says.
    options: Mapping[str, str | int] = field(default_factory=dict)


def _rust(key: str, title: str) -> Client:
    return Client(key, title, (places.rust_program(), key), "rust")


def _python(key: str, title: str, program: str, build: str) -> Client:
    return Client(key, title, (places.venv_python(build), places.CLIENTS / "python" / program), build)


SOCKET_LOOP = _rust("socket-loop", "socket loop")
#: What tokio costs by itself, where a publisher waits for each answer.
TOKIO_LOOPS = (_rust("tokio-loop", "tokio loop, one task"), _rust("tokio-task", "tokio loop, a task a connection"))
GNSQ = _rust("gnsq", "gnsq")
GNSQ_ONE_THREAD = _rust("gnsq-one-thread", "gnsq, one thread")
GO_NSQ = Client("go-nsq", "go-nsq 1.1.0", (places.GO_PROGRAM,), "go")
TOKIO_NSQ = Client("tokio-nsq", "tokio-nsq 0.14.0", (places.TOKIO_NSQ_PROGRAM,), "tokio-nsq")
NSQJS = Client("nsqjs", "nsqjs 0.13.0", ("node", places.CLIENTS / "node" / "client.mjs"), "node")
#: The reference first, then ours, then the peers.
ALL = (SOCKET_LOOP, GNSQ, GNSQ_ONE_THREAD, GO_NSQ, TOKIO_NSQ, NSQJS)
#: The same, with the floors that a few works have.
WITH_FLOORS = (SOCKET_LOOP, *TOKIO_LOOPS, *ALL[1:])

OLD_GNSQ = _python("gnsq-1.0.2", "gnsq 1.0.2", "with_gevent.py", "gnsq-1.0.2")
IN_PYTHON = (
    OLD_GNSQ,
    _python("pynsq", "pynsq 0.9.1", "with_pynsq.py", "pynsq-0.9.1"),
    _python("ansq", "ansq 0.3.0", "with_ansq.py", "ansq-0.3.0"),
    _python("threads", "gnsq, threads", "with_threads.py", "ours"),
    _python("gevent", "gnsq, gevent", "with_gevent.py", "ours"),
    _python("asyncio", "gnsq, asyncio", "with_asyncio.py", "ours"),
    SOCKET_LOOP,
)
