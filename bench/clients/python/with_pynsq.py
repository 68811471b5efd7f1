"""pynsq, on tornado's loop: its Reader with a handler that returns True, its Writer with callbacks."""

from __future__ import annotations

import nsq
from tornado.ioloop import IOLoop

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


def consume(clock: Clock, address: str, count: int) -> None:
    """A handler that looks at the body and counts; each message is finished when it returns True."""
    left, size = count, 0
    loop = IOLoop.current()

    def handle(message):
        nonlocal left, size
        size += len(message.body)
        left -= 1
        if left == 0:
            clock.stop()
            check(size, count)
            loop.call_later(PARTING, loop.stop)
        return True

    clock.start()
    reader(address, handle)
    loop.start()


def publish_each(clock: Clock, address: str, count: int) -> None:
    """One at a time, each confirmed before the next."""
    chains(clock, address, 1, count, lambda writer, answered: writer.pub(TOPIC, BODY, answered))


def publish_many(clock: Clock, address: str, count: int) -> None:
    """As above, a hundred at once."""
    chains(clock, address, PUBLISHERS, count, lambda writer, answered: writer.pub(TOPIC, BODY, answered))


def publish_unwaited(clock: Clock, address: str, count: int) -> None:
    """All without waiting, then all the answers."""
    chains(clock, address, count, count, lambda writer, answered: writer.pub(TOPIC, BODY, answered))


def multipublish(clock: Clock, address: str, count: int) -> None:
    """Two hundred with a command, one command at a time."""
    batch = [BODY] * BATCH
    chains(clock, address, 1, count // BATCH, lambda writer, answered: writer.mpub(TOPIC, batch, answered))


def idle(clock: Clock, address: str, count: int) -> None:
    """Consumers that have nothing to do."""
    loop = IOLoop.current()
    readers = [reader(address, lambda message: True) for _ in range(count)]

    def end():
        clock.stop()
        loop.stop()

    loop.call_later(SETTLING, clock.start)
    loop.call_later(SETTLING + IDLING, end)
    loop.start()
    del readers


def reader(address, handle):
    """A consumer, which connects when the loop runs."""
    return nsq.Reader(
        topic=TOPIC,
        channel=CHANNEL,
        message_handler=handle,
        nsqd_tcp_addresses=[address],
        max_in_flight=MAX_IN_FLIGHT,
    )


def chains(clock, address, outstanding, commands, publish):
    """So many commands, so many of them unanswered at once."""
    loop = IOLoop.current()
    writer = nsq.Writer([address])
    left = commands
    unsent = commands - outstanding

    def answered(conn, data):
        nonlocal left, unsent
        if isinstance(data, nsq.Error):
            raise data
        left -= 1
        if left == 0:
            clock.stop()
            loop.stop()
        elif unsent > 0:
            unsent -= 1
            publish(writer, answered)

    def connected(conn, data):
        if isinstance(data, nsq.Error):
            # The writer tells of its connection by nothing but this.
            loop.call_later(0.02, connect)
            return
        clock.start()
        for _ in range(outstanding):
            publish(writer, answered)

    def connect():
        writer.pub(TOPIC, BODY, connected)

    loop.add_callback(connect)
    loop.start()


if __name__ == "__main__":
    main(
        {
            "consume": consume,
            "publish-each": publish_each,
            "publish-many": publish_many,
            "publish-unwaited": publish_unwaited,
            "multipublish": multipublish,
            "idle": idle,
        }
    )
