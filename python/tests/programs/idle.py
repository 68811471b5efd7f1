"""A hundred consumers without work: `idle.py TCP_ADDRESS TOPIC`."""

from __future__ import annotations

import sys

import psutil
from support import mode
from support.waiting import eventually, pause

mode.begin()

import gnsq  # noqa: E402

COUNT = 100
SECONDS = 3


def main() -> None:
    """Runs it."""
    address, topic = sys.argv[1:]
    handled: list[bytes] = []

    def handle(_consumer: object, message: gnsq.Message) -> None:
        handled.append(message.body)

    consumers = [gnsq.Consumer(topic, f"c{number}", address) for number in range(COUNT)]
    for consumer in consumers:
        consumer.on_message.connect(handle)
        consumer.start(block=False)
    eventually(lambda: all(consumer.total_ready_count for consumer in consumers))
    process = psutil.Process()
    print(f"threads: {process.num_threads()}")
    assert process.num_threads() < 20
    # Each has had work once.
    with gnsq.Producer(address) as producer:
        producer.publish(topic, b"x")
        eventually(lambda: len(handled) == COUNT)
        producer.publish(topic, b"x")
        eventually(lambda: len(handled) == 2 * COUNT)
    pause(1)
    print(f"threads after work: {process.num_threads()}")
    assert process.num_threads() < 20
    before = process.cpu_times()
    pause(SECONDS)
    after = process.cpu_times()
    used = after.user - before.user + after.system - before.system
    print(f"cpu: {used:.3f} s of {SECONDS} s")
    assert used <= 0.02
    for consumer in consumers:
        consumer.close()
    for consumer in consumers:
        consumer.join()
    print("done")


main()
