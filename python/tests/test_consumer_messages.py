"""Messages in a loop."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from support.servers import Nsqd
from support.waiting import eventually
from test_consumer_handling import channel, is_done
from test_consumer_life import ignore

from gnsq.consumer import Consumer


def test_each_is_finished_when_the_next_is_asked_for(nsqd: Nsqd, topic: str) -> None:
    nsqd.publish(topic, b"a", b"b", b"c")
    consumer = Consumer(topic, "ch", nsqd.tcp_address)
    bodies = []
    for message in consumer.messages():
        assert consumer.is_running
        bodies.append(message.body)
        if message.body == b"c":
            message.finish()
            consumer.close()
    assert bodies == [b"a", b"b", b"c"]
    consumer.join(30)
    assert is_done(nsqd, topic, 3)


def test_all_nsqds_are_merged(make_nsqd: Callable[..., Nsqd], topic: str) -> None:
    nsqds = [make_nsqd(), make_nsqd()]
    for nsqd in nsqds:
        nsqd.publish(topic, b"x", b"y")
    consumer = Consumer(topic, "ch", [nsqd.tcp_address for nsqd in nsqds], max_in_flight=4)
    seen = []
    for message in consumer.messages():
        seen.append(message.body)
        message.finish()
        if len(seen) == 4:
            consumer.close()
    consumer.join(30)
    assert all(is_done(nsqd, topic, 2) for nsqd in nsqds)


def test_who_breaks_out_gives_the_one_in_hand_back_and_may_go_on(nsqd: Nsqd, topic: str) -> None:
    nsqd.publish(topic, b"x")
    consumer = Consumer(topic, "ch", nsqd.tcp_address)
    messages = consumer.messages()
    for message in messages:
        assert message.attempts == 1
        break
    messages.close()  # type: ignore[attr-defined]
    assert consumer.is_running
    for message in consumer.messages():
        assert message.attempts == 2
        message.finish()
        break
    consumer.close()
    consumer.join(30)
    assert is_done(nsqd, topic, 1)


def test_one_that_was_tried_too_often_is_given_up(nsqd: Nsqd, topic: str) -> None:
    given_up: list[Any] = []

    def give_up(_: Consumer, message: Any) -> None:
        given_up.append((message.body, message.attempts))
        nsqd.publish(topic, b"good")

    consumer = Consumer(topic, "ch", nsqd.tcp_address, max_tries=1)
    consumer.on_giving_up.connect(give_up)
    nsqd.publish(topic, b"bad")
    for message in consumer.messages():
        if message.body == b"good":
            message.finish()
            break
        message.requeue(backoff=False)
    consumer.close()
    consumer.join(30)
    assert given_up == [(b"bad", 2)]
    eventually(lambda: is_done(nsqd, topic, 2))


def test_an_async_one_is_left_alone(nsqd: Nsqd, topic: str) -> None:
    nsqd.publish(topic, b"a", b"b")
    consumer = Consumer(topic, "ch", nsqd.tcp_address, max_in_flight=2)
    kept = []
    for message in consumer.messages():
        message.enable_async()
        kept.append(message)
        if len(kept) == 2:
            break
    assert channel(nsqd, topic)["in_flight_count"] == 2
    for message in kept:
        message.finish()
    eventually(lambda: is_done(nsqd, topic, 2))
    consumer.close()
    consumer.join(30)


def test_messages_go_either_to_receivers_or_to_a_loop(nsqd: Nsqd, topic: str) -> None:
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=ignore)
    consumer.start(block=False)
    with pytest.raises(RuntimeError, match="on_message"):
        next(iter(consumer.messages()))
    consumer.close()
    consumer.join(30)
