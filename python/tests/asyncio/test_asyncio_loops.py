"""`async for`, and what cancels, closes or leaves a consumer."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any, Callable

import pytest
from support.aio import until
from support.servers import Nsqd, Nsqlookupd

from gnsq import errors
from gnsq.asyncio import Consumer, LookupdClient
from gnsq.message import Message

pytestmark = pytest.mark.modes("asyncio")


def given_back(nsqd: Nsqd, topic: str, depth: int) -> Callable[[], bool]:
    """Whether nsqd has so many messages again, and none in flight."""

    def there() -> bool:
        stats = nsqd.stats(topic, "c")
        return bool(stats["depth"] == depth and stats["in_flight_count"] == 0)

    return there


async def ignore(_consumer: Consumer, message: Message) -> None:
    """A handler."""


def test_async_for_finishes_each_message_on_the_next_turn_unless_it_was_answered(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        nsqd.publish(topic, b"1", b"2", b"3", b"4")
        async with Consumer(topic, "c", nsqd.tcp_address) as consumer:
            seen: list[Message] = []
            async for message in consumer:
                if seen:
                    assert seen[-1].has_responded()
                seen.append(message)
                if len(seen) == 2:
                    message.requeue(backoff=False)
                if len(seen) == 5:
                    message.finish()
                    break
        stats = nsqd.stats(topic, "c")
        assert stats["requeue_count"] == 1
        assert stats["depth"] == stats["in_flight_count"] == 0

    asyncio.run(main())


@pytest.mark.parametrize("how", ["break", "exception", "cancel"])
def test_who_leaves_the_loop_gives_the_message_back(nsqd: Nsqd, topic: str, how: str) -> None:
    async def main() -> None:
        nsqd.publish(topic, b"x")
        consumer = Consumer(topic, "c", nsqd.tcp_address)
        kept: list[Message] = []

        async def loop() -> None:
            async for message in consumer:
                kept.append(message)
                if how == "break":
                    break
                if how == "exception":
                    raise RuntimeError("a mistake")
                await asyncio.sleep(60)

        task = asyncio.ensure_future(loop())
        await until(lambda: kept)
        if how == "cancel":
            task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert (
            type(outcome)
            is {
                "break": type(None),
                "exception": RuntimeError,
                "cancel": asyncio.CancelledError,
            }[how]
        )
        # The consumer goes on: the message comes again, to another loop.
        assert consumer.is_running
        async for message in consumer:
            assert (message.body, message.attempts) == (b"x", 2)
            message.finish()
            await consumer.close()

    asyncio.run(main())


def test_a_wait_that_is_cancelled_loses_no_message(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        bodies: list[bytes] = []
        async with Consumer(topic, "c", nsqd.tcp_address, max_in_flight=10) as consumer:
            messages = consumer.messages()
            sent = 0
            while len(bodies) < 200:
                if sent < 200:
                    nsqd.publish(topic, b"%d" % sent)
                    sent += 1
                try:
                    message = await asyncio.wait_for(messages.__anext__(), 0.001)
                except asyncio.TimeoutError:
                    continue
                bodies.append(message.body)
            await messages.aclose()
        # The last one went back, since nobody has asked for another.
        assert sorted(bodies, key=int) == [b"%d" % number for number in range(200)]
        assert nsqd.stats(topic, "c")["timeout_count"] == 0

    asyncio.run(main())


def test_several_tasks_share_the_messages(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        seen: list[tuple[int, bytes]] = []
        async with Consumer(topic, "c", nsqd.tcp_address, max_in_flight=10) as consumer:

            async def loop(which: int) -> None:
                async for message in consumer:
                    seen.append((which, message.body))
                    await asyncio.sleep(0.01)

            tasks = [asyncio.ensure_future(loop(which)) for which in range(5)]
            await asyncio.sleep(0.1)
            # One that goes while it waits takes nobody's wake-up with it.
            tasks.pop().cancel()
            nsqd.publish(topic, *[b"%d" % number for number in range(100)])
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 100)
            await consumer.close()
            await asyncio.gather(*tasks)
        assert len(seen) == len(set(seen)) == 100
        assert {which for which, _ in seen} == set(range(4))

    asyncio.run(main())


def test_a_busy_loop_lets_others_run(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        turns: list[int] = []

        async def other() -> None:
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        nsqd.publish(topic, *[b"x"] * 300)
        async with Consumer(topic, "c", nsqd.tcp_address, max_in_flight=300) as consumer:
            task = asyncio.ensure_future(other())
            count = 0
            async for _ in consumer:
                count += 1
                if count == 300:
                    break
            task.cancel()
        assert len(turns) > 1

    asyncio.run(main())


def test_start_blocks_until_it_is_closed_and_without_a_receiver_it_is_an_error(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        consumer = Consumer(topic, "c", nsqd.tcp_address)
        with pytest.raises(RuntimeError):
            await consumer.start()
        consumer.on_message.connect(ignore)
        started = asyncio.ensure_future(consumer.start())
        await until(lambda: consumer.total_ready_count)
        with pytest.raises(RuntimeError):
            consumer.messages()
        assert not started.done()
        await consumer.join(timeout=0.05)
        with pytest.raises(errors.NSQException):
            await consumer.join(timeout=0.05, raise_error=True)
        consumer.close()
        await started
        assert not consumer.is_running

    asyncio.run(main())


def test_a_start_that_is_cancelled_closes_the_consumer(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        nsqd.create(topic, "c")
        nsqd.publish(topic, *[b"x"] * 5)
        running = asyncio.Event()

        async def handle(_consumer: Consumer, message: Message) -> None:
            message.enable_async()
            running.set()

        closed: list[bool] = []
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=handle, max_in_flight=3)
        consumer.on_close.connect(lambda _consumer: closed.append(True), weak=False)
        started = asyncio.ensure_future(consumer.start())
        await running.wait()
        started.cancel()
        with pytest.raises(asyncio.CancelledError):
            await started
        assert closed == [True]
        await until(given_back(nsqd, topic, 5))

    asyncio.run(main())


def test_a_handler_may_close_its_consumer_and_wait_for_that(nsqd: Nsqd, topic: str) -> None:
    async def handle(consumer: Consumer, message: Message) -> None:
        await consumer.close()

    async def main() -> None:
        nsqd.create(topic, "c")
        nsqd.publish(topic, b"x")
        await asyncio.wait_for(Consumer(topic, "c", nsqd.tcp_address, message_handler=handle).start(), 30)
        await until(given_back(nsqd, topic, 1))

    asyncio.run(main())


def test_the_end_of_the_loop_closes_what_was_left_running(nsqd: Nsqd, topic: str) -> None:
    closed: list[bool] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        await asyncio.sleep(3600)

    async def main() -> Consumer:
        nsqd.create(topic, "c")
        nsqd.publish(topic, *[b"x"] * 5)
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=handle, max_in_flight=3)
        consumer.on_close.connect(lambda _consumer: closed.append(True), weak=False)
        await consumer.start(block=False)
        await until(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 3)
        return consumer

    consumer = asyncio.run(main())
    assert not consumer.is_running
    assert closed == [True]
    asyncio.run(until(given_back(nsqd, topic, 5)))


def test_ctrl_c_closes_gracefully(nsqd: Nsqd, topic: str) -> None:
    closed: list[bool] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(3600)

    async def main() -> None:
        nsqd.create(topic, "c")
        nsqd.publish(topic, b"x")
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=handle)
        consumer.on_close.connect(lambda _consumer: closed.append(True), weak=False)
        await consumer.start()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert closed == [True]
    asyncio.run(until(given_back(nsqd, topic, 1)))


def test_one_that_was_closed_ends_loops_and_is_not_started_again(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        consumer = Consumer(topic, "c", nsqd.tcp_address)
        async with consumer:
            messages = consumer.messages()
        with pytest.raises(StopAsyncIteration):
            await messages.__anext__()
        assert [message async for message in consumer] == []
        never: Any = Consumer(topic, "c", nsqd.tcp_address)
        await never.close()
        with pytest.raises(errors.NSQException):
            never.messages()

    asyncio.run(main())


def test_nsqds_are_found_by_nsqlookupds_whose_clients_can_be_awaited(
    nsqlookupd: Nsqlookupd, make_nsqd: Callable[..., Nsqd], topic: str
) -> None:
    nsqd = make_nsqd(lookupds=[nsqlookupd])

    async def main() -> None:
        nsqd.publish(topic, b"x")
        client = LookupdClient.from_url(nsqlookupd.http_address)
        for lookupds in (nsqlookupd.http_address, [client]):
            async with Consumer(topic, "c", lookupd_http_addresses=lookupds, lookupd_poll_interval=0.1) as consumer:
                (lookupd,) = consumer.lookupds
                assert topic in (await lookupd.topics())["topics"]
                async for message in consumer:
                    assert message.body == b"x"
                    break

    asyncio.run(main())
