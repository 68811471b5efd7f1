"""What is done, with how many messages: enough for about a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from .clients import Client

#: Bodies have so many bytes where nothing is said.
BODY = 200
MAX_IN_FLIGHT = 2500
#: What a run may keep in nsqd's memory, in bytes of bodies.
_MOST_BYTES = 400 * 1024 * 1024
#: So many messages are always a whole number of batches, and the same for each of those who publish at once.
_UNIT = 1000

Options = Mapping[str, Union[str, int]]


@dataclass(frozen=True)
class Work:
    """One row of a table."""

    name: str
    title: str
    #: What the programs call it.
    program: str
    #: About how many messages a second each client does: who is not named, does not do it.
    estimates: Mapping[str, int]
    #: What the programs are told beside the number of messages.
    options: Options = field(default_factory=dict)
    #: How many nsqds there are.
    servers: int = 1
    body: int = BODY
    #: Whether bodies are text, each another one, that can be compressed as such text can; else the letter x.
    text: bool = False
    #: Where nothing grows with the number of messages: how many of whatever it is.
    count: int | None = None

    @property
    def consumes(self) -> bool:
        """Whether messages are there before the client comes."""
        return self.program in {"consume", "first"}

    @property
    def measures_latency(self) -> bool:
        """Whether each message is timed."""
        return self.program == "round-trip"

    def messages(self, client: Client, seconds: float, rate: float | None = None) -> int:
        """How many the client does in about so many seconds, by `rate` if it was measured before."""
        if self.count is not None:
            return self.count
        expected = seconds * (rate or self.estimates[client.key])
        unit = _UNIT if expected >= 2 * _UNIT else 100
        return min(max(unit, round(expected / unit) * unit), max(unit, _MOST_BYTES // self.body // unit * unit))


def _estimates(loop: int, gnsq: int, one_thread: int, go: int, tokio: int, node: int) -> dict[str, int]:
    keys = ("socket-loop", "gnsq", "gnsq-one-thread", "go-nsq", "tokio-nsq", "nsqjs")
    return {key: rate for key, rate in zip(keys, (loop, gnsq, one_thread, go, tokio, node)) if rate}


def _publish(outstanding: int, estimates: dict[str, int], batching: bool = False) -> Work:
    name = f"publish-{outstanding}" + ("-batching" if batching else "")
    title = f"publish confirmed, {outstanding:,} outstanding" + (", natural batching" if batching else "")
    options: Options = {"outstanding": outstanding, "batching": "yes" if batching else "no"}
    return Work(name, title, "publish", estimates, options)


def _multipublish(batch: int, outstanding: int, estimates: dict[str, int]) -> Work:
    title = f"MPUB of {batch}, {outstanding} outstanding"
    options = {"batch": batch, "outstanding": outstanding}
    return Work(f"mpub-{batch}-{outstanding}", title, "multipublish", estimates, options)


_CONSUME: Options = {"max-in-flight": MAX_IN_FLIGHT}


def _both(
    name: str,
    title: str,
    rates: tuple[dict[str, int], dict[str, int]],
    body: int = BODY,
    text: bool = False,
) -> tuple[Work, Work]:
    """Publish with 100 outstanding, and consume; over the layer or with the bodies that the name says."""
    layers: dict[str, Options] = {"tls": {"tls": "yes"}, "snappy": {"snappy": "yes"}, "deflate": {"deflate": 6}}
    layer = layers.get(name, {})
    publish: Options = {"outstanding": 100, "batching": "no", **layer}
    consume: Options = {**_CONSUME, **layer}
    return (
        Work(
            f"publish-{name}",
            f"publish confirmed, 100 outstanding, {title}",
            "publish",
            rates[0],
            publish,
            1,
            body,
            text,
        ),
        Work(f"consume-{name}", f"consume, {title}", "consume", rates[1], consume, 1, body, text),
    )


PUBLISH = (
    _publish(1, {**_estimates(16_000, 12_000, 14_000, 11_000, 800, 8_500), "tokio-loop": 14_000, "tokio-task": 11_000}),
    _publish(100, _estimates(120_000, 100_000, 100_000, 81_000, 118_000, 71_000)),
    _publish(1000, _estimates(120_000, 100_000, 100_000, 90_000, 120_000, 70_000)),
    _publish(1, {"gnsq": 12_000, "gnsq-one-thread": 14_000}, batching=True),
    _publish(100, {"gnsq": 300_000, "gnsq-one-thread": 300_000}, batching=True),
    _publish(1000, {"gnsq": 400_000, "gnsq-one-thread": 400_000}, batching=True),
    _multipublish(10, 1, _estimates(110_000, 90_000, 90_000, 80_000, 8_000, 60_000)),
    _multipublish(10, 8, _estimates(500_000, 400_000, 400_000, 300_000, 60_000, 150_000)),
    _multipublish(200, 1, _estimates(1_000_000, 800_000, 800_000, 750_000, 100_000, 200_000)),
    _multipublish(200, 8, _estimates(1_400_000, 1_200_000, 1_200_000, 1_100_000, 1_300_000, 230_000)),
)
CONSUME = (
    Work("consume", "consume", "consume", _estimates(600_000, 500_000, 500_000, 98_000, 600_000, 83_000), _CONSUME),
    Work(
        "consume-10-nsqd",
        "consume from 10 nsqd",
        "consume",
        _estimates(500_000, 400_000, 400_000, 90_000, 400_000, 80_000),
        _CONSUME,
        servers=10,
    ),
    Work(
        "consume-100-handlers",
        "consume, 100 handlers at once",
        "consume",
        {"gnsq": 400_000, "gnsq-one-thread": 400_000, "go-nsq": 98_000},
        {**_CONSUME, "handlers": 100},
    ),
)
BODIES = (
    *_both(
        "1k",
        "bodies of 1 KiB",
        (
            _estimates(100_000, 90_000, 0, 75_000, 90_000, 60_000),
            _estimates(400_000, 350_000, 0, 90_000, 350_000, 70_000),
        ),
        body=1024,
    ),
    *_both(
        "64k",
        "bodies of 64 KiB",
        (_estimates(12_000, 10_000, 0, 10_000, 10_000, 8_000), _estimates(15_000, 12_000, 0, 12_000, 12_000, 8_000)),
        body=64 * 1024,
    ),
)
LAYERS = tuple(
    work
    for name, title, publish, consume in (
        (
            "tls",
            "TLS",
            _estimates(0, 80_000, 0, 60_000, 80_000, 50_000),
            _estimates(0, 300_000, 0, 80_000, 250_000, 60_000),
        ),
        (
            "snappy",
            "snappy",
            _estimates(0, 80_000, 0, 50_000, 60_000, 20_000),
            _estimates(0, 200_000, 0, 70_000, 150_000, 20_000),
        ),
        (
            "deflate",
            "deflate 6",
            _estimates(0, 40_000, 0, 30_000, 40_000, 20_000),
            # tokio-nsq leaves what it answers in its deflate stream: it stands still once max_in_flight are received.
            _estimates(0, 60_000, 0, 40_000, 0, 30_000),
        ),
    )
    for work in _both(name, title, (publish, consume), text=name != "tls")
)
ROUND_TRIPS = (
    Work(
        "round-trip",
        "round trip, max_in_flight 1, one at a time",
        "round-trip",
        {**_estimates(7_000, 6_000, 6_000, 6_000, 700, 4_000), "tokio-loop": 6_000, "tokio-task": 5_000},
        {"max-in-flight": 1, "rate": 0},
    ),
    Work(
        "round-trip-low-load",
        "publish to handler, max_in_flight 2500, 100 messages/s",
        "round-trip",
        _estimates(100, 100, 100, 100, 100, 100),
        {"max-in-flight": MAX_IN_FLIGHT, "rate": 100},
        count=200,
    ),
)
FIRST = Work("first", "start to first message", "first", _estimates(1, 1, 1, 1, 1, 1), {"max-in-flight": 1}, count=1)
IDLE = Work(
    "idle", "1,000 idle consumers, for 10 s", "idle", _estimates(1, 1, 0, 1, 1, 1), {"max-in-flight": 1}, count=1000
)
WORKS = (*PUBLISH, *CONSUME, *BODIES, *ROUND_TRIPS, *LAYERS, FIRST, IDLE)


def _in_python(*rates: int) -> dict[str, int]:
    keys = ("gnsq-1.0.2", "pynsq", "ansq", "threads", "gevent", "asyncio", "socket-loop")
    return {key: rate for key, rate in zip(keys, rates) if rate}


PYTHON_IDLE = Work(
    "python-idle",
    "100 consumers with nothing to do, for 10 s",
    "idle",
    _in_python(1, 1, 1, 1, 1, 1),
    {"max-in-flight": MAX_IN_FLIGHT},
    count=100,
)
PYTHON = (
    Work(
        "python-consume",
        "consume, a handler in Python, auto-finish",
        "consume",
        _in_python(29_000, 25_000, 38_000, 220_000, 200_000, 150_000, 600_000),
        _CONSUME,
    ),
    Work(
        "python-publish-1",
        "publish, confirmed, one at a time",
        "publish",
        _in_python(5_500, 5_400, 5_000, 9_000, 9_000, 7_000, 16_000),
        {"outstanding": 1},
    ),
    Work(
        "python-publish-100",
        "publish, confirmed, 100 at once",
        "publish",
        _in_python(45_000, 26_000, 42_000, 60_000, 100_000, 80_000, 120_000),
        {"outstanding": 100},
    ),
    Work(
        "python-publish-unwaited",
        "publish in a loop, then all answers",
        "publish-unwaited",
        _in_python(45_000, 26_000, 40_000, 150_000, 150_000, 100_000),
    ),
    Work(
        "python-mpub-200",
        "multipublish of 200",
        "multipublish",
        _in_python(500_000, 360_000, 400_000, 700_000, 700_000, 600_000, 1_000_000),
        {"batch": 200, "outstanding": 1},
    ),
    PYTHON_IDLE,
)
