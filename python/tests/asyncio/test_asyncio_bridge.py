"""Any loop, any number of loops, in any process: each watches one file descriptor for all its clients."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Any

import pytest
from support.aio import until
from support.servers import Nsqd

from gnsq import errors
from gnsq.asyncio import Consumer, NsqdHTTPClient, Producer
from gnsq.message import Message

pytestmark = pytest.mark.modes("asyncio")


async def round_trip(nsqd: Nsqd, topic: str, count: int = 20) -> set[bytes]:
    """Publishes and consumes."""
    bodies: list[bytes] = []

    async def handle(_consumer: Consumer, message: Message) -> None:
        bodies.append(message.body)

    consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=handle, max_in_flight=10)
    async with Producer(nsqd.tcp_address) as producer, consumer:
        await asyncio.gather(*(producer.publish(topic, b"%d" % number) for number in range(count)))
        await until(lambda: len(set(bodies)) == count)
    return set(bodies)


async def ignore(_consumer: Consumer, message: Message) -> None:
    """A handler."""


def test_asyncio_run_may_be_called_again_and_again(nsqd: Nsqd, topic: str) -> None:
    fds = None
    for _ in range(10):
        assert len(asyncio.run(round_trip(nsqd, topic))) == 20
        now = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
        assert fds is None or now <= fds
        fds = max(now, fds or 0)


def test_each_thread_may_have_a_loop(nsqd: Nsqd, topic: str) -> None:
    outcomes: list[set[bytes]] = []

    def run(which: int) -> None:
        outcomes.append(asyncio.run(round_trip(nsqd, f"{topic}{which}")))

    threads = [threading.Thread(target=run, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [len(outcome) for outcome in outcomes] == [20] * 4


def test_uvloop_will_do(nsqd: Nsqd, topic: str) -> None:
    uvloop = pytest.importorskip("uvloop", reason="there is none for this platform")
    loop = uvloop.new_event_loop()
    try:
        for _ in range(2):
            assert len(loop.run_until_complete(round_trip(nsqd, topic))) == 20
    finally:
        loop.close()


def test_all_clients_share_one_file_descriptor_which_goes_with_the_last(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        before = len(loop._selector.get_map())
        producers = [Producer(nsqd.tcp_address) for _ in range(3)]
        consumers = [Consumer(topic, "c", nsqd.tcp_address, message_handler=ignore) for _ in range(3)]
        clients: list[Any] = [*producers, *consumers]
        for client in clients:
            await client.__aenter__()
        await NsqdHTTPClient(nsqd.host, nsqd.http_port).ping()
        assert len(loop._selector.get_map()) == before + 1
        for client in clients:
            assert len(loop._selector.get_map()) == before + 1
            await client.close()
        await until(lambda: len(loop._selector.get_map()) == before)

    asyncio.run(main())


def test_it_starts_no_thread_of_pythons(nsqd: Nsqd, topic: str) -> None:
    before = threading.active_count()

    async def main() -> None:
        await round_trip(nsqd, topic)
        assert threading.active_count() == before

    asyncio.run(main())


def test_an_idle_loop_is_not_woken(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        turns: list[int] = []
        once = loop._run_once

        def counted() -> None:
            turns.append(1)
            once()

        consumer = Consumer(topic, "c", nsqd.tcp_address, message_handler=ignore)
        async with consumer, Producer(nsqd.tcp_address):
            await until(lambda: consumer.total_ready_count)
            await asyncio.sleep(0.2)
            loop._run_once = counted
            await asyncio.sleep(1)
            # The sleep's own.
            assert len(turns) <= 3

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_clients_of_its_own_and_may_not_use_its_parents(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        consumer = Consumer(topic, "parent", nsqd.tcp_address, message_handler=ignore)
        async with Producer(nsqd.tcp_address) as producer, consumer:
            await producer.publish(topic, b"x")
            child = os.fork()
            if child == 0:
                os._exit(_in_child(nsqd, topic, producer, consumer))
            loop = asyncio.get_running_loop()
            _, status = await loop.run_in_executor(None, os.waitpid, child, 0)
            assert status == 0
            await producer.publish(topic, b"x")

    asyncio.run(main())


def _in_child(nsqd: Nsqd, topic: str, producer: Producer, consumer: Consumer) -> int:
    # The child of a loop's thread is in no loop.
    asyncio._set_running_loop(None)

    async def child() -> None:
        with pytest.raises(errors.NSQException):
            await producer.publish(topic, b"x")
        with pytest.raises(errors.NSQException):
            consumer.close()
        assert len(await round_trip(nsqd, f"{topic}child")) == 20

    try:
        asyncio.run(asyncio.wait_for(child(), 60))
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        return 1
    return 0


def test_clients_show_their_state(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        async with Producer(nsqd.tcp_address) as producer:
            assert repr(producer).startswith("<gnsq.asyncio.Producer ")
            assert "1 connected" in repr(producer)
        consumer = Consumer(topic, "c", nsqd.tcp_address)
        assert repr(consumer) == f"<gnsq.asyncio.Consumer {topic!r} 'c' not started>"
        assert repr(NsqdHTTPClient()) == "<NsqdHTTPClient http://localhost:4151/>"

    asyncio.run(main())
