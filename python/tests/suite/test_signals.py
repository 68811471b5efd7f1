"""Signals: who is called, with what, and what becomes of those who go away or raise."""

from __future__ import annotations

import gc
from typing import Any, Callable

import pytest
from support.handlers import Heard, Recorder
from support.servers import Nsqd
from support.waiting import pause

Eventually = Callable[..., Any]
Make = Callable[..., Any]


class Weak:
    """Receives with a method, which blinker holds weakly."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def handle(self, _consumer: Any, message: Any) -> None:
        """Is given a message."""
        self.bodies.append(message.body)


def test_a_weak_receiver_may_go_away(api: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually) -> None:
    weak, strong = Weak(), Recorder()
    consumer = consume(strong)
    consumer.on_message.connect(weak.handle)
    bodies = weak.bodies
    nsqd.publish(topic, b"one")
    eventually(lambda: bodies and strong.messages)
    del weak
    gc.collect()
    nsqd.publish(topic, b"two")
    eventually(lambda: len(strong.messages) == 2)
    assert bodies == [b"one"]


def test_receivers_may_come_and_go_while_messages_flow(
    consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    first, second = Recorder(), Recorder()
    consumer = consume(first)
    nsqd.publish(topic, b"one")
    eventually(lambda: len(first.messages) == 1)
    consumer.on_message.connect(second, weak=False)
    nsqd.publish(topic, b"two")
    eventually(lambda: len(first.messages) == 2 and len(second.messages) == 1)
    consumer.on_message.disconnect(first)
    nsqd.publish(topic, b"three")
    eventually(lambda: len(second.messages) == 2)
    assert first.bodies == [b"one", b"two"]
    assert second.bodies == [b"two", b"three"]


def test_a_receiver_that_raises_harms_nobody(
    producer: Any, consume: Make, topic: str, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_sender: Any, **_arguments: Any) -> None:
        raise RuntimeError("a slot failed")

    seen = Recorder()
    consumer = consume(seen, max_in_flight=5)
    for signal in (consumer.on_finish, consumer.on_response, consumer.on_error, producer.on_response):
        signal.connect(fail, weak=False)
    finished = Heard()
    consumer.on_finish.connect(finished, weak=False)
    for number in range(5):
        assert producer.publish(topic, b"%d" % number) == b"OK"
    eventually(lambda: len(finished) == 5)
    assert "a slot failed" in caplog.text


def test_a_slot_of_on_exception_that_raises_harms_nobody(
    producer: Any, consume: Make, topic: str, eventually: Eventually
) -> None:
    def fail(_sender: Any, **_arguments: Any) -> None:
        raise RuntimeError("a slot failed")

    seen = Recorder(then=lambda message: fail(None) if message.attempts == 1 else None)
    consumer = consume(seen, max_backoff_duration=0)
    consumer.on_exception.connect(fail, weak=False)
    producer.publish(topic, b"x")
    eventually(lambda: len(seen.messages) == 2)


def test_answers_are_told_with_the_consumer_as_sender(
    producer: Any, consume: Make, topic: str, eventually: Eventually
) -> None:
    def handle(consumer: Any, message: Any) -> None:
        senders.append(consumer)
        if message.attempts == 1:
            message.requeue(time_ms=10, backoff=False)

    senders: list[Any] = []
    finished, requeued, closed = Heard(), Heard(), Heard()
    consumer = consume(handle)
    consumer.on_finish.connect(finished, weak=False)
    consumer.on_requeue.connect(requeued, weak=False)
    consumer.on_close.connect(closed, weak=False)
    producer.publish(topic, b"x")
    eventually(lambda: finished)
    assert requeued.all("timeout") == [10]
    assert requeued.all("message_id") == finished.all("message_id")
    consumer.close()
    consumer.join(timeout=30)
    assert closed.calls == [(senders[0], {})]
    assert {id(sender) for sender, _ in finished.calls + requeued.calls + closed.calls} == {id(senders[0])}


def test_a_producer_tells_of_responses(producer: Any, topic: str, eventually: Eventually) -> None:
    told = Heard()
    producer.on_response.connect(told, weak=False)
    producer.publish(topic, b"x")
    eventually(lambda: b"OK" in told.all("response"))


def test_the_very_first_answers_are_told(
    api: Any, make_consumer: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    first, second = Heard(), Heard()
    consumer = make_consumer(Recorder())
    consumer.on_response.connect(first, weak=False)
    consumer.start(block=False)
    with_producer = api.Producer(nsqd.tcp_address)
    with_producer.on_response.connect(second, weak=False)
    with with_producer:
        eventually(lambda: len(first) == 2 and len(second) == 1)
    identified, subscribed = first.all("response")
    assert identified.startswith(b"{")
    assert subscribed == b"OK"
    assert second.all("response")[0].startswith(b"{")


def test_an_answer_that_comes_too_late_is_told_as_an_error(
    make_nsqd: Callable[..., Nsqd], consume: Make, topic: str, eventually: Eventually
) -> None:
    nsqd = make_nsqd(msg_timeout=1)
    seen = Recorder(then=lambda message: message.enable_async())
    consumer = consume(seen, addresses=nsqd.tcp_address, max_in_flight=2)
    nsqd.publish(topic, b"x")
    eventually(lambda: len(seen.messages) >= 2)
    pause(0.1)
    # Whether this side still sends it or knows better: the consumer goes on.
    try:
        seen.messages[0].finish()
    except Exception as error:
        assert type(error).__module__ == "gnsq.errors"
    seen.messages[-1].finish()
    nsqd.publish(topic, b"next")
    eventually(lambda: b"next" in seen.bodies)
    assert consumer.is_running
