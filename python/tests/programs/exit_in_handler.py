"""A handler calls `sys.exit`: `exit_in_handler.py TCP_ADDRESS TOPIC`."""

from __future__ import annotations

import sys
from typing import Any

from support import mode

mode.begin()

import gnsq  # noqa: E402


def main() -> None:
    """Runs it."""
    address, topic = sys.argv[1:]

    def handle(_consumer: Any, message: Any) -> None:
        print(f"handling {message.attempts}")
        sys.exit(3)

    consumer = gnsq.Consumer(topic, "c", address, max_tries=0)
    consumer.on_message.connect(handle)
    consumer.start()


main()
