"""Ends while a consumer runs: `exits.py HOW TCP_ADDRESS TOPIC`.

HOW says what the handler does, and how the program ends, as in `sleeping-return`.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from support import mode
from support.waiting import pause

mode.begin()

import gnsq  # noqa: E402


def main() -> None:
    """Runs it."""
    how, address, topic = sys.argv[1:]
    handler, _, end = how.partition("-")
    handling: list[int] = []
    held: list[Any] = []

    def handle(_consumer: Any, message: Any) -> None:
        handling.append(1)
        if handler == "sleeping":
            pause(3600)
        elif handler == "waiting":
            threading.Event().wait()
        elif handler == "computing":
            while True:
                sum(range(1000))
        elif handler == "async":
            message.enable_async()
            held.append(message)
        elif handler == "working":
            pause(0.001)

    consumer = gnsq.Consumer(topic, "c", address, max_in_flight=20)
    consumer.on_message.connect(handle, weak=False)
    if end == "thread":
        # A daemon: it ends with the program.
        threading.Thread(target=consumer.start, daemon=True).start()
    else:
        consumer.start(block=False)
    while not handling:
        pause(0.01)
    producer = gnsq.Producer(address)
    producer.start()
    producer.publish(f"{topic}_more", b"x")
    print("ending")
    if end == "exit":
        sys.exit(7)
    if end == "raise":
        raise ValueError("the end")
    if end == "close":
        consumer.close()
        producer.close()


main()
