"""Consuming under asyncio: handlers, concurrency, and how messages are answered."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable

import pytest
from support.aio import until
from support.servers import Nsqd

from gnsq import errors
from gnsq.asyncio import Consumer
from gnsq.message import Message

pytestmark = pytest.mark.modes("asyncio")


@pytest.mark.parametrize("is_coroutine", [True, False])
def test_handlers_are_coroutine_functions_or_plain_functions(nsqd: Nsqd, topic: str, is_coroutine: bool) -> None:
    bodies: list[bytes] = []

    async def coroutine(_consumer: Consumer, message: Message) -> None:
        await asyncio.sleep(0)
        bodies.append(message.body)

    def plain(_consumer: Consumer, message: Message) -> None:
        bodies.append(message.body)

    async def main() -> None:
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=coroutine if is_coroutine else plain)
        async with consumer:
            assert consumer.is_running
            nsqd.publish(topic, b"one", b"two", b"three")
            await until(lambda: len(bodies) == 3)
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 3)
        assert not consumer.is_running

    asyncio.run(main())
    assert sorted(bodies) == [b"one", b"three", b"two"]


def test_several_handlers_have_a_message_one_after_the_other(nsqd: Nsqd, topic: str) -> None:
    seen: list[str] = []

    async def slow(_consumer: Consumer, message: Message) -> None:
        await asyncio.sleep(0.05)
        seen.append("slow")

    def plain(_consumer: Consumer, message: Message) -> None:
        seen.append("plain")

    async def main() -> None:
        consumer = Consumer(topic, "c", nsqd.tcp_address)
        consumer.on_message.connect(slow, weak=False)
        consumer.on_message.connect(plain, weak=False)
        async with consumer:
            nsqd.publish(topic, b"x")
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 1)

    asyncio.run(main())
    assert sorted(seen) == ["plain", "slow"]


@pytest.mark.parametrize("is_coroutine", [True, False])
def test_what_a_handler_raises_is_told_and_the_message_requeued(
    nsqd: Nsqd, topic: str, is_coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    mistake = RuntimeError("a mistake")
    told: list[Any] = []

    async def coroutine(_consumer: Consumer, message: Message) -> None:
        if message.attempts == 1:
            raise mistake

    def plain(_consumer: Consumer, message: Message) -> None:
        if message.attempts == 1:
            raise mistake

    async def receiver(_consumer: Consumer, message: Message, error: Exception) -> None:
        await asyncio.sleep(0)
        assert not message.has_responded()
        told.append(error)

    async def main() -> None:
        handler = coroutine if is_coroutine else plain
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=handler, max_backoff_duration=0)
        consumer.on_exception.connect(receiver, weak=False)
        async with consumer:
            nsqd.publish(topic, b"x")
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 1)
        assert nsqd.stats(topic, "c")["requeue_count"] == 1

    asyncio.run(main())
    assert told == [mistake]
    assert "a mistake" in caplog.text


def test_a_handler_may_ask_for_a_requeue_or_answer_by_itself(nsqd: Nsqd, topic: str) -> None:
    attempts: list[int] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        attempts.append(message.attempts)
        if message.attempts == 1:
            raise errors.NSQRequeueMessage(backoff=False)
        if message.attempts == 2:
            message.requeue(backoff=False)
            return
        message.touch()
        message.finish()

    async def main() -> None:
        async with Consumer(topic, "c", nsqd.tcp_address, message_handler=handle):
            nsqd.publish(topic, b"x")
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 1)

    asyncio.run(main())
    assert attempts == [1, 2, 3]


def test_async_messages_are_answered_later_and_from_another_thread(nsqd: Nsqd, topic: str) -> None:
    kept: list[Message] = []
    finished: list[bytes] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        message.enable_async()
        kept.append(message)

    async def on_finish(_consumer: Consumer, message_id: bytes) -> None:
        finished.append(message_id)

    async def main() -> None:
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=handle, max_in_flight=2)
        consumer.on_finish.connect(on_finish, weak=False)
        async with consumer:
            nsqd.publish(topic, b"x", b"y")
            await until(lambda: len(kept) == 2)
            kept[0].finish()
            thread = threading.Thread(target=kept[1].finish)
            thread.start()
            await until(lambda: len(finished) == 2)
            thread.join()
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 2)

    asyncio.run(main())
    assert finished == [message.id for message in kept]


def test_giving_up_waits_for_its_receivers(nsqd: Nsqd, topic: str) -> None:
    given_up: list[bool] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        raise errors.NSQRequeueMessage(backoff=False)

    async def giving_up(_consumer: Consumer, message: Message) -> None:
        await asyncio.sleep(0.05)
        given_up.append(message.has_responded())

    async def main() -> None:
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=handle, max_tries=2)
        consumer.on_giving_up.connect(giving_up, weak=False)
        async with consumer:
            nsqd.publish(topic, b"x")
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 1)

    asyncio.run(main())
    assert given_up == [False]


def test_handlers_run_one_at_a_time_for_each_nsqd_and_side_by_side_for_several(
    make_nsqd: Callable[..., Nsqd], topic: str
) -> None:
    nsqds = [make_nsqd(), make_nsqd()]
    running: dict[bytes, int] = {}
    most: list[tuple[int, int]] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        running[message.body] = running.get(message.body, 0) + 1
        most.append((running[message.body], sum(running.values())))
        await asyncio.sleep(0.05)
        running[message.body] -= 1

    async def main() -> None:
        for nsqd in nsqds:
            nsqd.publish(topic, *[nsqd.tcp_address.encode()] * 5)
        addresses = [nsqd.tcp_address for nsqd in nsqds]
        async with Consumer(topic, "c", addresses, message_handler=handle, max_in_flight=10):
            await until(lambda: len(most) == 10)

    asyncio.run(main())
    assert max(mine for mine, _ in most) == 1
    assert max(all_of_them for _, all_of_them in most) == 2


def test_max_concurrency_is_how_many_handlers_run_at_once(nsqd: Nsqd, topic: str) -> None:
    running: list[int] = []
    most: list[int] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0.02)
        running.pop()

    async def main() -> None:
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=handle, max_in_flight=50, max_concurrency=7)
        async with consumer:
            nsqd.publish(topic, *[b"x"] * 40)
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 40)

    asyncio.run(main())
    assert len(most) == 40
    assert max(most) == 7


def test_a_handler_that_waits_for_something_cancelled_has_failed_and_the_consumer_goes_on(
    nsqd: Nsqd, topic: str
) -> None:
    attempts: list[int] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        attempts.append(message.attempts)
        if message.attempts == 1:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    async def main() -> None:
        async with Consumer(topic, "c", nsqd.tcp_address, message_handler=handle, max_backoff_duration=0):
            nsqd.publish(topic, b"x")
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 1)

    asyncio.run(main())
    assert attempts == [1, 2]


def test_receivers_of_other_signals_may_be_coroutine_functions_which_harm_nobody(
    nsqd: Nsqd, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    async def failing(_consumer: Consumer, **_kwargs: Any) -> None:
        raise RuntimeError("a mistake of a receiver")

    async def response(_consumer: Consumer, response: bytes) -> None:
        told.append("response")

    async def closed(_consumer: Consumer) -> None:
        await asyncio.sleep(0.05)
        told.append("closed")

    async def main() -> None:
        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=lambda _consumer, message: None)
        for signal in (consumer.on_finish, consumer.on_response, consumer.on_close):
            signal.connect(failing, weak=False)
        consumer.on_response.connect(response, weak=False)
        consumer.on_close.connect(closed, weak=False)
        async with consumer:
            nsqd.publish(topic, b"x")
            await until(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 1)

    asyncio.run(main())
    # To be closed is answered, too.
    assert "response" in told
    assert told[-1] == "closed"
    assert caplog.text.count("a mistake of a receiver") >= 3
