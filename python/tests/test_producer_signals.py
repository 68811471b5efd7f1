"""What a producer tells."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from support.servers import Nsqd

import gnsq
from gnsq.errors import NSQException

Eventually = Callable[..., Any]


class Seen:
    """Receives anything, as `(sender, arguments)`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, dict[str, Any]]] = []

    def __call__(self, sender: Any, **kwargs: Any) -> None:
        self.calls.append((sender, kwargs))


def test_answers_are_told(nsqd: Nsqd, topic: str, eventually: Eventually) -> None:
    producer, seen, late = gnsq.Producer(nsqd.tcp_address), Seen(), Seen()
    producer.on_response.connect(seen)
    with producer:
        producer.publish(topic, b"x")
        producer.on_response.connect(late)
        producer.publish(topic, b"x")
        eventually(lambda: late.calls)
    assert {"response": b"OK"} in [call for _, call in seen.calls]
    assert {id(sender) for sender, _ in seen.calls + late.calls} == {id(producer)}
    assert all(isinstance(call["response"], bytes) for _, call in seen.calls)


def test_a_receiver_that_comes_after_the_start_is_told(nsqd: Nsqd, topic: str, eventually: Eventually) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:
        seen = Seen()
        producer.on_response.connect(seen)
        producer.publish(topic, b"x")
        eventually(lambda: seen.calls == [(producer, {"response": b"OK"})])


def test_errors_of_nsqd_are_told(make_nsqd: Callable[..., Nsqd], topic: str, eventually: Eventually) -> None:
    nsqd = make_nsqd(max_msg_size=100)
    producer, seen = gnsq.Producer(nsqd.tcp_address, max_backoff_duration=0.2), Seen()
    producer.on_error.connect(seen)
    with producer:
        with pytest.raises(gnsq.errors.NSQBadMessage):
            producer.publish(topic, b"x" * 101)
        eventually(lambda: seen.calls)
        ((sender, arguments),) = seen.calls
        assert sender is producer
        assert isinstance(arguments["error"], gnsq.errors.NSQBadMessage)
        # The connection is lost with it, and made again.
        assert producer.publish(topic, b"x") == b"OK"


def test_the_close_is_told_once(nsqd: Nsqd, topic: str) -> None:
    producer, seen = gnsq.Producer(nsqd.tcp_address), Seen()
    producer.on_close.connect(seen)
    producer.start()
    producer.publish(topic, b"x")
    assert not seen.calls
    producer.close()
    producer.close()
    producer.join(30, raise_error=True)
    producer.close()
    assert seen.calls == [(producer, {})]


def test_a_close_lets_what_is_outstanding_come_to_its_end(nsqd: Nsqd, topic: str) -> None:
    producer, seen = gnsq.Producer(nsqd.tcp_address), Seen()
    producer.on_close.connect(seen)
    producer.start()
    results = [producer.publish(topic, b"x", raise_error=False) for _ in range(5000)]
    producer.close()
    producer.join(30, raise_error=True)
    assert {result.get(timeout=0) for result in results} == {b"OK"}
    assert seen.calls == [(producer, {})]
    assert nsqd.stats(topic)["message_count"] == 5000


def test_a_receiver_that_fails_harms_nobody(nsqd: Nsqd, topic: str, eventually: Eventually) -> None:
    def fails(sender: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    producer, seen = gnsq.Producer(nsqd.tcp_address), Seen()
    for signal in (producer.on_response, producer.on_close):
        signal.connect(fails)
        signal.connect(seen)
    with producer:
        assert producer.publish(topic, b"x") == b"OK"
        eventually(lambda: (producer, {"response": b"OK"}) in seen.calls)
    assert seen.calls[-1] == (producer, {})


def test_a_receiver_may_publish_and_close(nsqd: Nsqd, topic: str) -> None:
    published: list[bytes] = []

    def receiver(sender: gnsq.Producer, response: bytes) -> None:
        if response == b"OK" and sender.is_running:
            published.append(sender.publish(topic, b"y"))
            sender.close()

    producer = gnsq.Producer(nsqd.tcp_address)
    producer.on_response.connect(receiver)
    producer.start()
    producer.publish(topic, b"x")
    producer.join(30, raise_error=True)
    assert published == [b"OK"]
    with pytest.raises(NSQException):
        producer.publish(topic, b"x")


def test_a_receiver_may_go_away(nsqd: Nsqd, topic: str) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:
        producer.on_response.connect(Seen())
        assert not producer.on_response.receivers
        assert producer.publish(topic, b"x") == b"OK"
