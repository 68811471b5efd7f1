"""Consumes until SIGTERM or Ctrl-C, and then gives back what it hasn't begun: `python worker.py`.

NSQD_TCP_ADDRESS says where nsqd is, by default at 127.0.0.1:4150.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType

import gnsq


def cook(consumer: gnsq.Consumer, message: gnsq.Message) -> None:
    """Handles one order. What it raises has the order requeued."""
    print("cooking", message.body.decode(), flush=True)


def stop(_number: int, _frame: FrameType | None) -> None:
    """Ends the wait in `start`; closing is up to the `with` block."""
    sys.exit(0)


def main() -> None:
    """Consumes."""
    logging.basicConfig(level=logging.INFO)
    signal.signal(signal.SIGTERM, stop)
    nsqd = os.environ.get("NSQD_TCP_ADDRESS", "127.0.0.1:4150")
    try:
        with gnsq.Consumer("orders", "kitchen", nsqd, message_handler=cook, max_in_flight=20) as consumer:
            consumer.start()
    except KeyboardInterrupt:
        print("interrupted", flush=True)


if __name__ == "__main__":
    main()
