"""What processes of a pool do. A process that is spawned finds it by its name, which it can't with a test's module."""

from __future__ import annotations

import gnsq


def publish(address: str, topic: str) -> bytes:
    """Publishes with a producer of its own."""
    with gnsq.Producer(address) as producer:
        answer: bytes = producer.publish(topic, b"x")
        return answer
