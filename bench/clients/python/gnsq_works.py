"""The works of gnsq's `Consumer` and `Producer`, in threads or in gevent as `mode` says.

gnsq 1.0.2 and this package run the very same program.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Protocol

import gnsq

from measured import BATCH, BODY, CHANNEL, IDLING, MAX_IN_FLIGHT, PARTING, PUBLISHERS, SETTLING, TOPIC, Clock, check
from measured import main as run_one


class Mode(Protocol):
    """How a program waits."""

    def event(self) -> Any:
        """Something with `set` and `wait`."""

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""

    def run_all(self, function: Callable[[], object], times: int) -> None:
        """Runs it so many times at once, until all have returned."""


def main(mode: Mode) -> None:
    """Does what the command line says."""
    works = {
        "consume": consume,
        "publish-each": publish_each,
        "publish-many": publish_many,
        "publish-unwaited": publish_unwaited,
        "multipublish": multipublish,
        "idle": idle,
    }
    run_one({name: partial(work, mode) for name, work in works.items()})


def consume(mode: Mode, clock: Clock, address: str, count: int) -> None:
    """A handler that looks at the body and counts; each message is finished when it returns."""
    left, size = count, 0
    done = mode.event()
    consumer = gnsq.Consumer(TOPIC, CHANNEL, address, max_in_flight=MAX_IN_FLIGHT)

    @consumer.on_message.connect
    def handle(consumer, message):
        nonlocal left, size
        size += len(message.body)
        left -= 1
        if left == 0:
            done.set()

    clock.start()
    consumer.start(block=False)
    done.wait()
    clock.stop()
    check(size, count)
    mode.sleep(PARTING)
    consumer.close()
    consumer.join()


def publish_each(mode: Mode, clock: Clock, address: str, count: int) -> None:
    """One at a time, each confirmed before the next."""
    producer = connected(address)
    clock.start()
    for _ in range(count):
        producer.publish(TOPIC, BODY)
    clock.stop()
    part(producer)


def publish_many(mode: Mode, clock: Clock, address: str, count: int) -> None:
    """As above, by a hundred threads or greenlets."""
    producer = connected(address)

    def publisher():
        for _ in range(count // PUBLISHERS):
            producer.publish(TOPIC, BODY)

    clock.start()
    mode.run_all(publisher, PUBLISHERS)
    clock.stop()
    part(producer)


def publish_unwaited(mode: Mode, clock: Clock, address: str, count: int) -> None:
    """All without waiting, then all the answers."""
    producer = connected(address)
    clock.start()
    results = [producer.publish(TOPIC, BODY, raise_error=False) for _ in range(count)]
    for result in results:
        result.get()
    clock.stop()
    part(producer)


def multipublish(mode: Mode, clock: Clock, address: str, count: int) -> None:
    """Two hundred with a command, one command at a time."""
    producer = connected(address)
    batch = [BODY] * BATCH
    clock.start()
    for _ in range(count // BATCH):
        producer.multipublish(TOPIC, batch)
    clock.stop()
    part(producer)


def idle(mode: Mode, clock: Clock, address: str, count: int) -> None:
    """Consumers that have nothing to do."""
    consumers = [gnsq.Consumer(TOPIC, CHANNEL, address, max_in_flight=MAX_IN_FLIGHT) for _ in range(count)]
    for consumer in consumers:
        consumer.on_message.connect(ignore)
        consumer.start(block=False)
    mode.sleep(SETTLING)
    clock.start()
    mode.sleep(IDLING)
    clock.stop()
    for consumer in consumers:
        consumer.close()


def ignore(consumer, message):
    """Handles a message."""


def connected(address):
    """A producer that has published its first message."""
    producer = gnsq.Producer(address)
    producer.start()
    producer.publish(TOPIC, BODY)
    return producer


def part(producer):
    """Closes it."""
    producer.close()
    producer.join()
