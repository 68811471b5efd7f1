"""A handler that takes its time, or all of it, stops no heartbeat."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Callable

import pytest
from support import mode
from support.handlers import Recorder
from support.servers import Nsqd
from support.waiting import pause

Eventually = Callable[..., Any]
Make = Callable[..., Any]

#: nsqd closes a connection that is silent for two intervals.
HEARTBEAT = 1


def sleep_blocking(seconds: float) -> None:
    """Sleeps as a computation would: no hub and no loop gets a turn."""
    if mode.NAME == "patched":
        from gevent import monkey

        monkey.get_original("time", "sleep")(seconds)
    else:
        time.sleep(seconds)


def compute(seconds: float) -> None:
    """Works without a pause, holding the GIL as much as it gets it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


@pytest.mark.parametrize("block", [pause, sleep_blocking, compute], ids=["waits", "sleeps", "computes"])
def test_a_handler_may_take_longer_than_heartbeats(
    consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually, block: Callable[[float], None]
) -> None:
    seen = Recorder(then=lambda _message: block(3.2 * HEARTBEAT))
    consume(seen, heartbeat_interval=HEARTBEAT)
    nsqd.publish(topic, b"slow")
    eventually(lambda: nsqd.stats(topic, "c")["clients"])
    (before,) = nsqd.stats(topic, "c")["clients"]
    eventually(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 1)
    (after,) = nsqd.stats(topic, "c")["clients"]
    assert after["remote_address"] == before["remote_address"]
    assert len(seen.messages) == 1


def test_a_producer_in_a_blocked_program_keeps_its_connection(make_producer: Make, nsqd: Nsqd, topic: str) -> None:
    producer = make_producer(heartbeat_interval=HEARTBEAT)
    producer.publish(topic, b"x")
    sleep_blocking(3.2 * HEARTBEAT)
    assert producer.publish(topic, b"x", block=False) == b"OK"


def test_a_blocked_handler_stops_no_other_connection(
    consume: Make,
    make_nsqd: Callable[..., Nsqd],
    topic: str,
    eventually: Eventually,
) -> None:
    nsqds = [make_nsqd() for _ in range(2)]
    seen, going_on = Recorder(), [False]

    def handle(consumer: Any, message: Any) -> None:
        seen(consumer, message)
        while message.body == b"blocks" and not going_on[0]:
            pause(0.01)

    async def handle_in_loop(consumer: Any, message: Any) -> None:
        seen(consumer, message)
        while message.body == b"blocks" and not going_on[0]:
            await asyncio.sleep(0.01)

    handler = handle_in_loop if mode.NAME == "asyncio" else handle
    consume(handler, addresses=[one.tcp_address for one in nsqds], max_in_flight=2)
    nsqds[0].publish(topic, b"blocks")
    eventually(lambda: seen.messages)
    nsqds[1].publish(topic, b"other")
    try:
        eventually(lambda: b"other" in seen.bodies)
    finally:
        going_on[0] = True


def test_a_slow_handler_holds_up_the_messages_of_its_connection_only_in_turn(
    consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    running: list[int] = []
    most: list[int] = []

    def handle(_message: Any) -> None:
        running.append(1)
        most.append(len(running))
        pause(0.01)
        running.pop()

    seen = Recorder(then=handle)
    consume(seen, max_in_flight=10)
    nsqd.publish(topic, *[b"%d" % number for number in range(20)])
    eventually(lambda: len(most) == 20)
    assert max(most) == 1
