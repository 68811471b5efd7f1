"""Starts and stops clients, and tells what is left of them: `many_starts.py COUNT TCP_ADDRESS TOPIC`."""

from __future__ import annotations

import asyncio
import gc
import sys

import psutil
from support import mode
from support.waiting import pause

mode.begin()

import gnsq  # noqa: E402
import gnsq.asyncio  # noqa: E402


def cycle(address: str, topic: str) -> None:
    """A producer and a consumer, from their beginning to their end."""
    producer = gnsq.Producer(address)
    producer.start()
    producer.publish(topic, b"x")
    consumer = gnsq.Consumer(topic, "c", address)
    consumer.on_message.connect(lambda consumer, **_kwargs: consumer.close(), weak=False)
    consumer.start()
    producer.close()
    producer.join()


async def async_cycles(count: int, address: str, topic: str) -> None:
    """The same in an event loop, so many times."""
    for _ in range(count):
        producer = gnsq.asyncio.Producer(address)
        await producer.start()
        await producer.publish(topic, b"x")
        consumer = gnsq.asyncio.Consumer(topic, "c", address)
        consumer.on_message.connect(lambda consumer, **_kwargs: consumer.close() and None, weak=False)
        await consumer.start()
        producer.close()
        await producer.join()


def cycles(count: int, address: str, topic: str) -> None:
    """So many cycles, with asyncio in some loops one after the other."""
    if mode.NAME == "asyncio":
        for done in range(0, count, 100):
            asyncio.run(async_cycles(min(100, count - done), address, topic))
    else:
        for _ in range(count):
            cycle(address, topic)


def kept() -> tuple[int, int, int]:
    """Threads, file descriptors, and memory in KiB."""
    gc.collect()
    # What looks up names ends after a while, and connections that are closing have a moment.
    process = psutil.Process()
    return process.num_threads(), process.num_fds(), process.memory_info().rss // 1024


def main() -> None:
    """Runs it."""
    count, address, topic = int(sys.argv[1]), *sys.argv[2:]
    cycles(min(count, 200), address, topic)
    pause(0.5)
    before = kept()
    cycles(count, address, topic)
    pause(0.5)
    after = kept()
    print(f"before: {before}, after: {after}")
    assert after[0] <= before[0] + 1, "threads were left behind"
    assert after[1] <= before[1] + 2, "file descriptors were left behind"
    # Whatever it is, it is no part of a KiB for each.
    assert after[2] - before[2] < 2048 + count / 4, "memory was left behind"
    print("done")


main()
