"""Forks before and after clients have started: `forks.py HOW TCP_ADDRESS TOPIC`."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import warnings
from typing import Any, Callable

from support import mode
from support.waiting import eventually

mode.begin()
faulthandler.register(signal.SIGALRM, chain=True)
# Python 3.12 and newer warn of threads in whoever forks. Those of gnsq are what is tested.
warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)

import gnsq  # noqa: E402
from gnsq.errors import NSQException  # noqa: E402


def fork() -> int:
    """Forks as programs of this mode do."""
    if mode.NAME == "gevent":
        import gevent.os

        return int(gevent.os.fork())
    return os.fork()


def in_child(work: Callable[[], object]) -> int:
    """Runs it in a child, and gives that one's exit status."""
    pid = fork()
    if pid == 0:
        # Not forked along, unlike a thread that would watch the time.
        signal.alarm(60)
        work()
        # The whole way out, with all that is done at the exit.
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def refused(call: Callable[[], object]) -> None:
    """It must be refused, in words that help."""
    try:
        call()
    except NSQException as error:
        assert "fork" in str(error), error
    else:
        raise AssertionError("a parent's client worked in its child")


def consume(address: str, topic: str, count: int) -> list[bytes]:
    """Takes that many messages."""
    bodies: list[bytes] = []
    consumer = gnsq.Consumer(topic, "c", address, max_in_flight=10)

    def handle(_consumer: Any, message: Any) -> None:
        bodies.append(message.body)

    consumer.on_message.connect(handle)
    consumer.start(block=False)
    eventually(lambda: len(bodies) >= count)
    consumer.close()
    consumer.join()
    return bodies


def publish(address: str, topic: str, body: bytes) -> None:
    """Publishes with a producer of its own."""
    with gnsq.Producer(address) as producer:
        assert producer.publish(topic, body) == b"OK"


def before(address: str, topic: str) -> None:
    """Nothing of gnsq runs yet; a producer is made, and begins in the child only."""
    producer = gnsq.Producer(address)

    def work() -> None:
        publish(address, topic, b"of the child")
        # It has begun nothing, and so nothing of it was lost.
        try:
            producer.start()
            producer.publish(topic, b"of the parent's producer")
            producer.close()
        except NSQException as error:
            assert "fork" in str(error), error
            publish(address, topic, b"of the parent's producer")

    assert in_child(work) == 0
    publish(address, topic, b"of the parent")
    assert sorted(consume(address, topic, 3)) == [b"of the child", b"of the parent", b"of the parent's producer"]


def after(address: str, topic: str) -> None:
    """Clients run in the parent."""
    producer = gnsq.Producer(address)
    producer.start()
    producer.publish(topic, b"1")
    seen: list[bytes] = []
    held: list[Any] = []

    def handle(_consumer: Any, message: Any) -> None:
        seen.append(message.body)
        message.enable_async()
        held.append(message)

    consumer = gnsq.Consumer(topic, "c", address, max_in_flight=10)
    consumer.on_message.connect(handle)
    consumer.start(block=False)
    eventually(lambda: held)
    result = producer.publish(topic, b"2", raise_error=False)
    clients = [producer, consumer]

    def work() -> None:
        refused(lambda: producer.publish(topic, b"x"))
        refused(lambda: producer.publish(topic, b"x", raise_error=False))
        refused(lambda: held[0].finish())
        publish(address, f"{topic}_child", b"of the child")
        assert consume(address, f"{topic}_child", 1) == [b"of the child"]
        # Nor may they hang when they are closed or dropped.
        while clients:
            client = clients.pop()
            repr(client)
            try:
                client.close()
                client.join(timeout=5)
            except NSQException:
                pass
        held.clear()
        gc.collect()

    for _ in range(3):
        assert in_child(work) == 0
    # The parent doesn't notice.
    assert result.get(timeout=30) == b"OK"
    assert producer.publish(topic, b"3") == b"OK"
    eventually(lambda: len(held) == 3)
    for message in held:
        message.finish()
    consumer.close()
    consumer.join()
    producer.close()
    producer.join()


def while_busy(address: str, topic: str) -> None:
    """Forks again and again while messages flow."""
    producer = gnsq.Producer(address)
    producer.start()
    seen: list[bytes] = []

    def handle(_consumer: Any, message: Any) -> None:
        seen.append(message.body)

    consumer = gnsq.Consumer(topic, "c", address, max_in_flight=100)
    consumer.on_message.connect(handle)
    consumer.start(block=False)
    count = 0
    for turn in range(20):
        results = [producer.publish(topic, b"x", raise_error=False) for _ in range(200)]
        count += 200
        assert in_child(lambda turn=turn: publish(address, f"{topic}_child", b"%d" % turn)) == 0
        for result in results:
            assert result.get(timeout=30) == b"OK"
    eventually(lambda: len(seen) >= count)
    consumer.close()
    producer.close()
    consumer.join()
    producer.join()


def grandchild(address: str, topic: str) -> None:
    """A child's clients are as strange to its own children."""

    def child() -> None:
        producer = gnsq.Producer(address)
        producer.start()
        producer.publish(topic, b"x")

        def work() -> None:
            refused(lambda: producer.publish(topic, b"x"))
            publish(address, topic, b"x")

        assert in_child(work) == 0
        producer.publish(topic, b"x")
        producer.close()
        producer.join()

    assert in_child(child) == 0


def main() -> None:
    """Runs it."""
    how, address, topic = sys.argv[1:]
    {"before": before, "after": after, "while_busy": while_busy, "grandchild": grandchild}[how](address, topic)
    print("done")


main()
