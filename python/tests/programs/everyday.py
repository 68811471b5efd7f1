"""A program as they are, to be run with warnings as errors: `everyday.py TCP_ADDRESS HTTP_ADDRESS TOPIC`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from support import mode

mode.begin()

import gnsq  # noqa: E402
import gnsq.asyncio  # noqa: E402


def main() -> None:
    """Runs it."""
    address, url, topic = sys.argv[1:]
    host, _, port = address.rpartition(":")
    bodies: list[bytes] = []

    def handle(consumer: gnsq.Consumer, message: gnsq.Message) -> None:
        bodies.append(message.body)
        message.finish()
        if len(bodies) == 4:
            consumer.close()

    with gnsq.Producer(address) as producer:
        producer.publish(topic, b"one")
        producer.multipublish(topic, [b"two", b"three"])
        producer.publish(topic, b"four", raise_error=False).get()
    consumer: Any = gnsq.Consumer(topic, "c", address, max_in_flight=4)
    consumer.on_message.connect(handle)
    consumer.start()
    assert sorted(bodies) == [b"four", b"one", b"three", b"two"]
    assert gnsq.NsqdHTTPClient.from_url(url).ping() == b"OK"
    client = gnsq.NsqdTCPClient(host, int(port))
    client.connect()
    client.identify()
    client.publish(topic, b"x")
    assert client.read_response()[1] == b"OK"
    client.close_stream()


async def async_main() -> None:
    """The same in an event loop."""
    address, url, topic = sys.argv[1:]
    host, _, port = address.rpartition(":")
    async with gnsq.asyncio.Producer(address) as producer:
        await producer.publish(topic, b"one")
        await producer.multipublish(topic, [b"two", b"three"])
        await (await producer.publish(topic, b"four", raise_error=False))
    bodies: list[bytes] = []
    async with gnsq.asyncio.Consumer(topic, "c", address, max_in_flight=4) as consumer:
        async for message in consumer:
            bodies.append(message.body)
            message.finish()
            if len(bodies) == 4:
                break
    assert sorted(bodies) == [b"four", b"one", b"three", b"two"]
    assert await gnsq.asyncio.NsqdHTTPClient.from_url(url).ping() == b"OK"
    client = gnsq.asyncio.NsqdTCPClient(host, int(port))
    await client.connect()
    await client.identify()
    await client.publish(topic, b"x")
    assert (await client.read_response())[1] == b"OK"
    client.close_stream()


if mode.NAME == "asyncio":
    asyncio.run(async_main())
else:
    main()
print("done")
