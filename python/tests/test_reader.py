"""The consumer of old programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest
from support.servers import Nsqd
from support.waiting import eventually, pause
from test_consumer_handling import channel, is_done

from gnsq.consumer import Consumer
from gnsq.errors import NSQNoConnections
from gnsq.reader import Reader


@contextmanager
def reading(nsqd: Nsqd, topic: str, handler: Callable[..., Any], **options: Any) -> Iterator[Reader]:
    """A reader that runs, and is closed in the end."""
    with pytest.warns(DeprecationWarning, match="Consumer"):
        reader = Reader(topic, "ch", nsqd.tcp_address, message_handler=handler, **options)
    reader.start(block=False)
    try:
        yield reader
    finally:
        reader.close()
        reader.join(30)


def test_it_is_a_consumer(nsqd: Nsqd, topic: str) -> None:
    bodies: list[bytes] = []
    nsqd.publish(topic, b"x")
    with reading(nsqd, topic, lambda _, message: bodies.append(message.body)) as reader:
        assert isinstance(reader, Consumer)
        eventually(lambda: is_done(nsqd, topic, 1))
    assert bodies == [b"x"]


@pytest.mark.parametrize("option", ["async", "is_async"])
def test_every_message_is_async_if_it_is_told_so(nsqd: Nsqd, topic: str, option: str) -> None:
    held: list[Any] = []
    nsqd.publish(topic, b"x", b"y")
    with reading(nsqd, topic, lambda _, message: held.append(message), max_in_flight=2, **{option: True}):
        eventually(lambda: len(held) == 2)
        assert all(message.is_async() for message in held)
        assert channel(nsqd, topic)["in_flight_count"] == 2
        for message in held:
            message.finish()
        eventually(lambda: is_done(nsqd, topic, 2))


def test_several_handlers_share_the_messages_of_an_nsqd(nsqd: Nsqd, topic: str) -> None:
    running = 0
    most = 0

    def handler(_: Reader, message: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        eventually(lambda: most == 3)
        pause(0.005)
        running -= 1

    nsqd.publish(topic, *[b"x"] * 30)
    with reading(nsqd, topic, handler, max_in_flight=10, max_concurrency=3):
        eventually(lambda: is_done(nsqd, topic, 30))
    assert most == 3


def test_minus_one_is_the_count_of_cpus(nsqd: Nsqd, topic: str) -> None:
    nsqd.publish(topic, b"x")
    with reading(nsqd, topic, lambda *_, **__: None, max_concurrency=-1) as reader:
        assert reader.max_concurrency == os.cpu_count()
        eventually(lambda: is_done(nsqd, topic, 1))


def test_it_publishes_to_an_nsqd_that_is_connected(nsqd: Nsqd, topic: str) -> None:
    bodies: list[bytes] = []

    def handler(reader: Reader, message: Any) -> None:
        bodies.append(message.body)
        if message.body == b"first":
            reader.publish(topic, b"second")

    nsqd.publish(topic, b"first")
    with reading(nsqd, topic, handler):
        eventually(lambda: is_done(nsqd, topic, 2))
    assert bodies == [b"first", b"second"]


def test_it_publishes_to_any_nsqd_that_is_connected(make_nsqd: Callable[..., Nsqd], topic: str) -> None:
    nsqds = [make_nsqd(), make_nsqd()]
    with pytest.warns(DeprecationWarning):
        reader = Reader(topic, "ch", [nsqd.tcp_address for nsqd in nsqds], message_handler=lambda *_, **__: None)
    reader.start(block=False)
    try:
        eventually(lambda: all(nsqd.stats(topic, "ch").get("clients") for nsqd in nsqds))
        # That chance leaves one of them out does not happen.
        for _ in range(100):
            reader.publish(f"{topic}_other", b"x")
        counts = [nsqd.stats(f"{topic}_other")["message_count"] for nsqd in nsqds]
        assert min(counts) > 0
        assert sum(counts) == 100
    finally:
        reader.close()
        reader.join(30)


def test_without_a_connection_it_does_not_publish() -> None:
    with pytest.warns(DeprecationWarning):
        reader = Reader("t", "c", "127.0.0.1:1")
    with pytest.raises(NSQNoConnections):
        reader.publish("t", b"x")
