"""What the behavioural tests share. They are written once, against the classes that block their caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support import mode
from support.servers import Nsqd


@pytest.fixture(scope="session")
def api() -> Any:
    """`gnsq`; with asyncio, `gnsq.asyncio` behind the same blocking methods."""
    if mode.NAME == "asyncio":
        from support.async_api import AsyncApi

        return AsyncApi()
    import gnsq

    return gnsq


@pytest.fixture
def make_producer(api: Any, nsqd: Nsqd) -> Iterator[Callable[..., Any]]:
    """`make_producer(addresses=nsqd's, **options)`: a producer that runs, and is closed in the end."""
    made: list[Any] = []

    def make(addresses: Any = None, **options: Any) -> Any:
        producer = api.Producer(nsqd.tcp_address if addresses is None else addresses, **options)
        made.append(producer)
        producer.start()
        return producer

    yield make
    _close(made)


@pytest.fixture
def producer(make_producer: Callable[..., Any]) -> Any:
    """A producer that runs, for `nsqd`."""
    return make_producer()


@pytest.fixture
def make_consumer(api: Any, nsqd: Nsqd, topic: str) -> Iterator[Callable[..., Any]]:
    """`make_consumer(handler, topic=topic, channel="c", addresses=nsqd's, **options)`: a consumer that has not begun,
    and is closed in the end."""
    made: list[Any] = []

    def make(
        handler: Callable[..., Any], *, topic: str = topic, channel: str = "c", addresses: Any = None, **options: Any
    ) -> Any:
        addresses = nsqd.tcp_address if addresses is None else addresses
        consumer = api.Consumer(topic, channel, addresses, **options)
        consumer.on_message.connect(handler, weak=False)
        made.append(consumer)
        return consumer

    yield make
    _close(made)


@pytest.fixture
def consume(make_consumer: Callable[..., Any]) -> Callable[..., Any]:
    """As `make_consumer`, and it runs."""

    def begin(handler: Callable[..., Any], **options: Any) -> Any:
        consumer = make_consumer(handler, **options)
        consumer.start(block=False)
        return consumer

    return begin


def _close(clients: list[Any]) -> None:
    for client in clients:
        client.close()
    for client in clients:
        client.join(timeout=30)
