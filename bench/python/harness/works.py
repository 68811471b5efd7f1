"""What is done, by whom, and how much of it: enough for one to two seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """A program that does each work."""

    name: str
    #: The file in `clients`; none: the plain socket loop in Rust.
    program: str | None
    #: The virtual environment it runs in.
    venv: str | None
    #: About how many messages it does in a second, a work after another as in WORKS.
    rates: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Work:
    """One row of the table."""

    name: str
    title: str


CONSUME = Work("consume", "consume, a handler in Python, auto-finish")
WORKS = (
    CONSUME,
    Work("publish-each", "publish, confirmed, one at a time"),
    Work("publish-many", "publish, confirmed, 100 at once"),
    Work("publish-unwaited", "publish in a loop, then all answers"),
    Work("multipublish", "multipublish of 200"),
)
IDLE = Work("idle", "100 consumers with nothing to do, for 10 s")
IDLE_CONSUMERS = 100

OURS = (
    Client("gnsq, threads", "with_threads.py", "ours", (220_000, 9_000, 60_000, 150_000, 700_000)),
    Client("gnsq, gevent", "with_gevent.py", "ours", (200_000, 9_000, 100_000, 150_000, 700_000)),
    Client("gnsq, asyncio", "with_asyncio.py", "ours", (150_000, 7_000, 80_000, 100_000, 600_000)),
)
REFERENCE = Client("gnsq 1.0.2", "with_gevent.py", "gnsq-1.0.2", (29_000, 5_500, 45_000, 45_000, 500_000))
PEERS = (
    REFERENCE,
    Client("pynsq 0.9.1", "with_pynsq.py", "pynsq-0.9.1", (25_000, 5_400, 26_000, 26_000, 360_000)),
    Client("ansq 0.3.0", "with_ansq.py", "ansq-0.3.0", (38_000, 5_000, 42_000, 40_000, 400_000)),
)
SOCKET_LOOP = Client("socket loop in Rust", None, None, (600_000, 16_000, 120_000, 0, 1_000_000))
CLIENTS = (*PEERS, *OURS, SOCKET_LOOP)

#: What is installed in each virtual environment; ours is this checkout beside it.
PACKAGES = {
    "gnsq-1.0.2": ("gnsq==1.0.2", "gevent==26.9.0"),
    "pynsq-0.9.1": ("pynsq==0.9.1", "tornado==6.6.1"),
    "ansq-0.3.0": ("ansq==0.3.0",),
    "ours": ("gevent==26.9.0",),
}


def messages(client: Client, work: Work, seconds: float) -> int:
    """How many messages the client does in about so many seconds, in whole batches; 0 if it doesn't do this work."""
    batches = client.rates[WORKS.index(work)] * seconds / 200
    return max(1, round(batches)) * 200 if batches else 0
