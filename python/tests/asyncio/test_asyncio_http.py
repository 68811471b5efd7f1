"""The clients of the HTTP APIs, under asyncio."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from support.servers import Nsqd, Nsqlookupd

from gnsq import errors
from gnsq.asyncio import LookupdClient, NsqdHTTPClient

pytestmark = pytest.mark.modes("asyncio")


def test_an_nsqd_is_asked_and_told_by_coroutines(nsqd: Nsqd, topic: str) -> None:
    async def main() -> None:
        async with NsqdHTTPClient(nsqd.host, nsqd.http_port) as client:
            assert await client.ping() == b"OK"
            assert "version" in await client.info()
            await client.create_topic(topic)
            await client.create_channel(topic, "c")
            assert await client.publish(topic, "tea") == b"OK"
            assert await client.publish(topic, b"later", defer=50) == b"OK"
            assert await client.multipublish(topic, [b"one", b"two"]) == b"OK"
            assert await client.multipublish(topic, [b"a\nline"], binary=True) == b"OK"
            stats = await client.stats(topic, "c")
            assert stats["topics"][0]["message_count"] == 5
            assert topic.encode() in await client.stats(topic, text=True)
            await client.pause_topic(topic)
            await client.unpause_topic(topic)
            await client.pause_channel(topic, "c")
            await client.unpause_channel(topic, "c")
            await client.empty_channel(topic, "c")
            await client.empty_topic(topic)
            await client.delete_channel(topic, "c")
            await client.delete_topic(topic)
            with pytest.raises(errors.NSQHttpError, match="TOPIC_NOT_FOUND 404"):
                await client.empty_topic(topic)

    asyncio.run(main())


def test_an_nsqlookupd_is_asked_and_told_by_coroutines(nsqlookupd: Nsqlookupd, topic: str) -> None:
    async def main() -> None:
        client = LookupdClient.from_url(nsqlookupd.http_address)
        assert await client.ping() == b"OK"
        assert "version" in await client.info()
        await client.create_topic(topic)
        await client.create_channel(topic, "c")
        assert topic in (await client.topics())["topics"]
        assert await client.channels(topic) == {"channels": ["c"]}
        assert (await client.lookup(topic))["producers"] == []
        assert (await client.nodes())["producers"] == []
        await client.tombstone_topic(topic, "host:4151")
        await client.delete_channel(topic, "c")
        await client.delete_topic(topic)
        with pytest.raises(errors.NSQHttpError):
            await client.lookup(topic)

    asyncio.run(main())


def test_one_client_serves_many_tasks_and_one_loop_after_the_other(nsqd: Nsqd, topic: str) -> None:
    client = NsqdHTTPClient(nsqd.host, nsqd.http_port)

    async def main() -> list[bytes]:
        return await asyncio.gather(*(client.publish(topic, b"x") for _ in range(20)))

    for _ in range(3):
        assert asyncio.run(main()) == [b"OK"] * 20
    assert nsqd.stats(topic)["message_count"] == 60


def test_bad_names_are_refused_before_anything_is_sent() -> None:
    async def main() -> None:
        # Nobody is there.
        client = NsqdHTTPClient("127.0.0.1", 1)
        with pytest.raises(ValueError):
            await client.create_topic("no topic")
        with pytest.raises(errors.NSQSocketError):
            await client.create_topic("topic")

    asyncio.run(main())


def test_a_request_may_be_cancelled() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client = NsqdHTTPClient("127.0.0.1", silent.getsockname()[1], timeout=60)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.ping(), 0.1)

    asyncio.run(main())


def test_the_loop_watches_only_while_it_is_waited_for(nsqd: Nsqd) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        client = NsqdHTTPClient(nsqd.host, nsqd.http_port)
        before = len(loop._selector.get_map())
        request = asyncio.ensure_future(client.ping())
        await asyncio.sleep(0)
        assert len(loop._selector.get_map()) == before + 1
        await request
        assert len(loop._selector.get_map()) == before

    asyncio.run(main())


def test_close_keeps_no_connection_and_the_client_may_be_used_again(nsqd: Nsqd) -> None:
    async def main() -> None:
        client = NsqdHTTPClient(nsqd.host, nsqd.http_port)
        await client.ping()
        await client.close()
        assert await client.ping() == b"OK"

    asyncio.run(main())
