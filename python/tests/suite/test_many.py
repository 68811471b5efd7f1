"""Many who publish at once, and many messages."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable

from support import mode
from support.handlers import Recorder
from support.servers import Nsqd

Eventually = Callable[..., Any]
Make = Callable[..., Any]

#: GNSQ_TEST_MESSAGES=1000000 for a long run.
MESSAGES = int(os.environ.get("GNSQ_TEST_MESSAGES", "100000"))


def test_many_publish_at_once(
    producer: Any, consume: Make, topic: str, spawn: Callable[..., Any], eventually: Eventually
) -> None:
    count = 1000 if mode.IS_GEVENT else 100
    seen = Recorder()
    consume(seen, max_in_flight=500)

    def publish(name: int) -> None:
        for number in range(5):
            assert producer.publish(topic, b"%d-%d" % (name, number)) == b"OK"

    workers = [spawn(publish, name) for name in range(count)]
    for worker in workers:
        worker.result(timeout=60)
    eventually(lambda: len(seen.messages) == 5 * count)
    assert set(seen.bodies) == {b"%d-%d" % (name, number) for name in range(count) for number in range(5)}


def test_nothing_is_lost_on_the_way_through_one_process(
    producer: Any, make_consumer: Make, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually, spawn: Any
) -> None:
    seen = bytearray(MESSAGES)
    times: list[int] = [0]
    lock = threading.Lock()

    def handle(_consumer: Any, message: Any) -> None:
        with lock:
            seen[int(message.body)] = 1
            times[0] += 1

    consume(handle, max_in_flight=1000)

    def publish() -> None:
        # In windows: what waits for its answer is bounded.
        results: list[Any] = []
        for number in range(MESSAGES):
            results.append(producer.publish(topic, b"%d" % number, raise_error=False))
            if len(results) == 1000:
                for result in results:
                    result.get(timeout=60)
                results.clear()
        for result in results:
            result.get(timeout=60)

    spawn(publish).result(timeout=100 + MESSAGES / 1000)
    eventually(lambda: times[0] >= MESSAGES, timeout=100 + MESSAGES / 1000)
    assert all(seen)
    eventually(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 0)
    assert nsqd.stats(topic, "c")["depth"] == 0
