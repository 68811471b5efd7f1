"""Blocks in one call until Ctrl-C: `blocking_call.py CALL TCP_ADDRESS TOPIC`."""

from __future__ import annotations

import sys
from typing import Any, Callable

from support import mode

mode.begin()

import gnsq  # noqa: E402


def again(call: Callable[[], object]) -> Callable[[], None]:
    """The call again and again, until it blocks."""

    def repeat() -> None:
        while True:
            call()

    return repeat


def of_a_producer(call: str, address: str, topic: str) -> Callable[[], Any]:
    """The call, with everything that comes before it done."""
    producer = gnsq.Producer(address)
    producer.start()
    return {
        "publish": again(lambda: producer.publish(topic, b"x")),
        "multipublish": again(lambda: producer.multipublish(topic, [b"x"])),
        "result.get": again(lambda: producer.publish(topic, b"x", raise_error=False).get()),
        "producer.join": producer.join,
        "publish_unconnected": lambda: producer.publish(topic, b"x"),
    }[call]


def of_a_client(call: str, address: str, topic: str) -> Callable[[], Any]:
    """The call, with everything that comes before it done."""
    host, _, port = address.rpartition(":")
    client = gnsq.NsqdTCPClient(host, int(port))
    client.connect()
    client.identify()
    client.subscribe(topic, "c")
    return {"listen": client.listen, "read_response": again(client.read_response)}[call]


def of_a_consumer(call: str, address: str, topic: str) -> Callable[[], Any]:
    """The call, with everything that comes before it done."""
    consumer = gnsq.Consumer(topic, "c", address)
    if call == "messages":
        messages = iter(consumer.messages())
        return lambda: next(messages)
    consumer.on_message.connect(lambda *_args, **_kwargs: None, weak=False)
    if call == "start":
        return consumer.start
    consumer.start(block=False)
    return {"consumer.join": consumer.join, "second_start": consumer.start}[call]


def main() -> None:
    """Runs it."""
    call, address, topic = sys.argv[1:]
    if call in ("listen", "read_response"):
        blocked = of_a_client(call, address, topic)
    elif call in ("start", "messages", "consumer.join", "second_start"):
        blocked = of_a_consumer(call, address, topic)
    else:
        blocked = of_a_producer(call, address, topic)
    try:
        print("blocking")
        blocked()
    except KeyboardInterrupt:
        print("interrupted")
    else:
        print("returned")


main()
