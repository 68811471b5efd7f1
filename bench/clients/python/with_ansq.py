"""ansq, on asyncio: its Reader's messages, finished one by one, and its Writer."""

from __future__ import annotations

import asyncio

import ansq

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
    """A loop that looks at the body, finishes and counts."""
    left, size = count, 0
    clock.start()
    reader = await connected_reader(address)
    async for message in reader.messages():
        size += len(message.body)
        await message.fin()
        left -= 1
        if left == 0:
            break
    clock.stop()
    check(size, count)
    await asyncio.sleep(PARTING)
    await reader.close()


async def publish_each(clock: Clock, address: str, count: int) -> None:
    """One at a time, each confirmed before the next."""
    writer = await connected_writer(address)
    clock.start()
    for _ in range(count):
        await writer.pub(TOPIC, BODY)
    clock.stop()
    await writer.close()


async def publish_many(clock: Clock, address: str, count: int) -> None:
    """As above, by a hundred tasks."""
    writer = await connected_writer(address)

    async def publisher():
        for _ in range(count // PUBLISHERS):
            await writer.pub(TOPIC, BODY)

    clock.start()
    await asyncio.gather(*(publisher() for _ in range(PUBLISHERS)))
    clock.stop()
    await writer.close()


async def publish_unwaited(clock: Clock, address: str, count: int) -> None:
    """All without waiting, then all the answers."""
    writer = await connected_writer(address)
    clock.start()
    await asyncio.gather(*[asyncio.ensure_future(writer.pub(TOPIC, BODY)) for _ in range(count)])
    clock.stop()
    await writer.close()


async def multipublish(clock: Clock, address: str, count: int) -> None:
    """Two hundred with a command, one command at a time."""
    writer = await connected_writer(address)
    batch = [BODY] * BATCH
    clock.start()
    for _ in range(count // BATCH):
        await writer.mpub(TOPIC, *batch)
    clock.stop()
    await writer.close()


async def idle(clock: Clock, address: str, count: int) -> None:
    """Consumers that have nothing to do."""
    readers = [await connected_reader(address) for _ in range(count)]
    await asyncio.sleep(SETTLING)
    clock.start()
    await asyncio.sleep(IDLING)
    clock.stop()
    for reader in readers:
        await reader.close()


async def connected_reader(address):
    """A consumer that takes as many messages as the others."""
    reader = await ansq.create_reader(topic=TOPIC, channel=CHANNEL, nsqd_tcp_addresses=[address])
    # The reader itself asks for one at a time, and has no way yet to be told otherwise.
    for connection in reader.connections:
        await connection.rdy(MAX_IN_FLIGHT)
    return reader


async def connected_writer(address):
    """A producer that has published its first message."""
    writer = await ansq.create_writer(nsqd_tcp_addresses=[address])
    await writer.pub(TOPIC, BODY)
    return writer


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
