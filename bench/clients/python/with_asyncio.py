"""This package under asyncio."""

from __future__ import annotations

import asyncio

import gnsq.asyncio

from measured import (
    BATCH,
    BODY,
    CHANNEL,
    IDLING,
    MAX_IN_FLIGHT,
    PARTING,
    PUBLISHERS,
    SETTLING,
    TOPIC,
    Clock,
    check,
    main,
)


async def consume(clock: Clock, address: str, count: int) -> None:
    """A loop that looks at the body and counts; each message is finished with the next turn."""
    left, size = count, 0
    clock.start()
    async with gnsq.asyncio.Consumer(TOPIC, CHANNEL, address, max_in_flight=MAX_IN_FLIGHT) as consumer:
        async for message in consumer:
            size += len(message.body)
            left -= 1
            if left == 0:
                clock.stop()
                check(size, count)
                message.finish()
                await asyncio.sleep(PARTING)
                break


async def publish_each(clock: Clock, address: str, count: int) -> None:
    """One at a time, each confirmed before the next."""
    async with gnsq.asyncio.Producer(address) as producer:
        await producer.publish(TOPIC, BODY)
        clock.start()
        for _ in range(count):
            await producer.publish(TOPIC, BODY)
        clock.stop()


async def publish_many(clock: Clock, address: str, count: int) -> None:
    """As above, by a hundred tasks."""
    async with gnsq.asyncio.Producer(address) as producer:
        await producer.publish(TOPIC, BODY)

        async def publisher():
            for _ in range(count // PUBLISHERS):
                await producer.publish(TOPIC, BODY)

        clock.start()
        await asyncio.gather(*(publisher() for _ in range(PUBLISHERS)))
        clock.stop()


async def publish_unwaited(clock: Clock, address: str, count: int) -> None:
    """All without waiting, then all the answers."""
    async with gnsq.asyncio.Producer(address) as producer:
        await producer.publish(TOPIC, BODY)
        clock.start()
        results = [await producer.publish(TOPIC, BODY, raise_error=False) for _ in range(count)]
        for result in results:
            await result
        clock.stop()


async def multipublish(clock: Clock, address: str, count: int) -> None:
    """Two hundred with a command, one command at a time."""
    async with gnsq.asyncio.Producer(address) as producer:
        await producer.publish(TOPIC, BODY)
        batch = [BODY] * BATCH
        clock.start()
        for _ in range(count // BATCH):
            await producer.multipublish(TOPIC, batch)
        clock.stop()


async def idle(clock: Clock, address: str, count: int) -> None:
    """Consumers that have nothing to do."""
    consumers = [gnsq.asyncio.Consumer(TOPIC, CHANNEL, address, max_in_flight=MAX_IN_FLIGHT) for _ in range(count)]
    for consumer in consumers:
        consumer.on_message.connect(ignore)
        await consumer.start(block=False)
    await asyncio.sleep(SETTLING)
    clock.start()
    await asyncio.sleep(IDLING)
    clock.stop()
    for consumer in consumers:
        await consumer.close()


async def ignore(consumer, message):
    """Handles a message."""


def run(work):
    """The work as the command line wants it."""
    return lambda clock, address, count: asyncio.run(work(clock, address, count))


if __name__ == "__main__":
    main(
        {
            "consume": run(consume),
            "publish-each": run(publish_each),
            "publish-many": run(publish_many),
            "publish-unwaited": run(publish_unwaited),
            "multipublish": run(multipublish),
            "idle": run(idle),
        }
    )
