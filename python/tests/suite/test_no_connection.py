"""Publishing while no nsqd is there, and what is no use at all."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest
from support.handlers import Heard
from support.servers import Nsqd

from gnsq import errors

Eventually = Callable[..., Any]
Make = Callable[..., Any]


@pytest.fixture
def stopped(make_nsqd: Callable[..., Nsqd]) -> Nsqd:
    """An nsqd that doesn't run."""
    nsqd = make_nsqd()
    nsqd.stop()
    return nsqd


@pytest.mark.parametrize("method", ["publish", "multipublish"])
def test_without_block_it_fails_at_once(make_producer: Make, stopped: Nsqd, topic: str, method: str) -> None:
    producer = make_producer(stopped.tcp_address)
    data = b"x" if method == "publish" else [b"x"]
    begin = time.monotonic()
    with pytest.raises(errors.NSQNoConnections):
        getattr(producer, method)(topic, data, block=False)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("method", ["publish", "multipublish"])
def test_with_a_timeout_it_fails_after_that(make_producer: Make, stopped: Nsqd, topic: str, method: str) -> None:
    producer = make_producer(stopped.tcp_address)
    data = b"x" if method == "publish" else [b"x"]
    begin = time.monotonic()
    with pytest.raises(errors.NSQNoConnections):
        getattr(producer, method)(topic, data, timeout=0.3)
    assert 0.25 < time.monotonic() - begin < 20


def test_with_block_it_waits_for_a_connection(
    make_producer: Make, stopped: Nsqd, topic: str, spawn: Callable[..., Any]
) -> None:
    producer = make_producer(stopped.tcp_address, max_backoff_duration=1)
    worker = spawn(producer.publish, topic, b"x")
    assert not worker.join(0.3)
    stopped.start()
    assert worker.result(timeout=30) == b"OK"
    assert stopped.stats(topic)["message_count"] == 1


def test_closing_ends_a_publish_that_waits(
    make_producer: Make, stopped: Nsqd, topic: str, spawn: Callable[..., Any]
) -> None:
    producer = make_producer(stopped.tcp_address)
    worker = spawn(producer.publish, topic, b"x")
    assert not worker.join(0.3)
    producer.close()
    with pytest.raises(errors.NSQException):
        worker.result(timeout=30)


def test_addresses_are_checked(api: Any) -> None:
    for bad in ({"a": 1}, 4150, b"localhost"):
        with pytest.raises(TypeError):
            api.Producer(bad)
    for bad in ("localhost:port", "localhost:99999", []):
        with pytest.raises(ValueError):
            api.Producer(bad)
    with pytest.raises(ValueError):
        api.Consumer("topic", "channel")
    with pytest.raises(TypeError):
        api.Consumer("topic", "channel", None)
    with pytest.raises(TypeError):
        api.Consumer("topic", "channel", "localhost", None)


def test_addresses_are_normalized(api: Any) -> None:
    assert api.Producer("localhost").nsqd_tcp_addresses == {"localhost:4150"}
    assert api.Producer(["a:1", "b"]).nsqd_tcp_addresses == {"a:1", "b:4150"}
    assert api.Producer({"a:1"}).nsqd_tcp_addresses == {"a:1"}
    assert api.Producer(("[::1]:5000",)).nsqd_tcp_addresses == {"[::1]:5000"}


def test_names_are_checked_before_anything_is_sent(producer: Any, nsqd: Nsqd) -> None:
    for bad in ("", "a topic", "t" * 65):
        with pytest.raises((ValueError, errors.NSQException)):
            producer.publish(bad, b"x")
    assert producer.publish("good", b"x") == b"OK"


def test_what_nsqd_refuses_is_raised_and_told(make_nsqd: Callable[..., Nsqd], make_producer: Make, topic: str) -> None:
    nsqd = make_nsqd(max_msg_size=100)
    producer = make_producer(nsqd.tcp_address)
    told = Heard()
    producer.on_error.connect(told, weak=False)
    with pytest.raises(errors.NSQBadMessage):
        producer.publish(topic, b"x" * 101)
    result = producer.publish(topic, b"x" * 101, raise_error=False, timeout=30)
    with pytest.raises(errors.NSQBadMessage):
        result.get(timeout=30)
    assert not result.successful()
    assert isinstance(result.exception, errors.NSQBadMessage)
    # It is connected again by itself.
    assert producer.publish(topic, b"x", timeout=30) == b"OK"
    assert told.calls
    assert all(isinstance(error, errors.NSQBadMessage) for error in told.all("error"))


def test_a_delay_that_is_too_long_is_refused(producer: Any, topic: str) -> None:
    with pytest.raises(errors.NSQInvalid):
        producer.publish(topic, b"x", defer=2 * 3600 * 1000)
    assert producer.publish(topic, b"x", timeout=30) == b"OK"
