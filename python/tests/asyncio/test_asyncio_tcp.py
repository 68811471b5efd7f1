"""One connection to an nsqd, under asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.aio import until
from support.servers import Nsqd

from gnsq import errors, protocol
from gnsq.asyncio import NsqdTCPClient

pytestmark = pytest.mark.modes("asyncio")

OK = (protocol.FRAME_TYPE_RESPONSE, b"OK")


async def answer(conn: NsqdTCPClient) -> tuple[int, Any]:
    """The next frame that is no heartbeat."""
    while True:
        frame = await conn.read_response()
        if frame[1] != protocol.HEARTBEAT:
            return frame


def test_commands_are_sent_and_answers_read(nsqd: Nsqd, topic: str) -> None:
    told: list[Any] = []

    async def on_message(_conn: NsqdTCPClient, message: Any) -> None:
        told.append(message)

    async def main() -> None:
        async with NsqdTCPClient(nsqd.host, nsqd.tcp_port) as conn:
            conn.on_message.connect(on_message, weak=False)
            assert conn.is_connected
            response = await conn.identify()
            assert response is not None
            assert response["max_rdy_count"] == conn.max_ready_count
            await conn.publish(topic, b"one")
            assert await answer(conn) == OK
            await conn.multipublish(topic, [b"two", "three"])
            assert await answer(conn) == OK
            await conn.subscribe(topic, "c")
            assert await answer(conn) == OK
            await conn.ready(3)
            messages = [(await answer(conn))[1] for _ in range(3)]
            assert {message.body for message in messages} == {b"one", b"two", b"three"}
            assert conn.in_flight == 3
            messages[0].touch()
            messages[0].finish()
            await conn.finish(messages[1].id)
            # A command goes out whether it is awaited or not.
            conn.requeue(messages[2].id)
            assert (await answer(conn))[1].attempts == 2
            await conn.nop()
            # Coroutines run beside the one that reads.
            await until(lambda: len(told) == 4)
            assert told[:3] == messages
        assert not conn.is_connected
        with pytest.raises(errors.NSQSocketError):
            await conn.publish(topic, b"x")
        with pytest.raises(errors.NSQException):
            await conn.connect()

    asyncio.run(main())


def test_an_error_is_returned_and_a_fatal_one_closes(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        conn = NsqdTCPClient(nsqd.host, nsqd.tcp_port)
        await conn.connect()
        await conn.connect()
        await conn.identify()
        conn.ready(1)
        frame, error = await answer(conn)
        assert frame == protocol.FRAME_TYPE_ERROR
        assert isinstance(error, errors.NSQInvalid)
        assert not conn.is_connected

    asyncio.run(main())


def test_a_read_that_is_cancelled_loses_nothing(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        async with NsqdTCPClient(nsqd.host, nsqd.tcp_port) as conn:
            await conn.identify()
            for _ in range(50):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(conn.read_response(), 0.001)
            await conn.publish(topic, b"x")
            assert await answer(conn) == OK

    asyncio.run(main())


def test_listen_ends_when_the_connection_is_closed_from_this_side(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        conn = NsqdTCPClient(nsqd.host, nsqd.tcp_port)
        await conn.connect()
        listening = asyncio.ensure_future(conn.listen())
        await asyncio.sleep(0.05)
        assert not listening.done()
        conn.close_stream()
        await asyncio.wait_for(listening, 30)

    asyncio.run(main())


def test_nobody_there_is_an_error() -> None:
    async def main() -> None:
        with pytest.raises(errors.NSQSocketError):
            await NsqdTCPClient("127.0.0.1", 1).connect()

    asyncio.run(main())


def test_the_loop_watches_while_it_is_connected(nsqd: Nsqd) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        before = len(loop._selector.get_map())
        conn = NsqdTCPClient(nsqd.host, nsqd.tcp_port)
        await conn.connect()
        assert len(loop._selector.get_map()) == before + 1
        await conn.identify()
        assert len(loop._selector.get_map()) == before + 1
        conn.close_stream()
        await until(lambda: len(loop._selector.get_map()) == before)

    asyncio.run(main())
