"""Publishes and consumes, with an nsqd in this process: `python in_memory.py`. Nothing else is needed."""

from __future__ import annotations

import gnsq
from gnsq.testing import Nsqd

ORDERS = 10


def main() -> None:
    """Publishes orders, and handles them."""
    with Nsqd() as nsqd:
        with gnsq.Producer(nsqd.tcp_address) as producer:
            producer.multipublish("orders", [f"order {number}" for number in range(ORDERS)])

        with gnsq.Consumer("orders", "kitchen", nsqd.tcp_address, max_in_flight=5) as consumer:
            for handled, message in enumerate(consumer.messages(), start=1):
                print(message.body.decode())
                if handled == ORDERS:
                    message.finish()
                    break


if __name__ == "__main__":
    main()
