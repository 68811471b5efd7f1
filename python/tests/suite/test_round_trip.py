"""What is published is consumed."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest
from support.handlers import Recorder
from support.servers import Nsqd

Eventually = Callable[..., Any]
Make = Callable[..., Any]


def test_a_message_that_is_published_is_consumed_and_finished(
    producer: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    seen = Recorder()
    before = time.time()
    assert producer.publish(topic, b"hello") == b"OK"
    consumer = consume(seen)
    eventually(lambda: seen.messages)
    message = seen.messages[0]
    assert message.body == b"hello"
    assert message.attempts == 1
    assert isinstance(message.id, bytes)
    assert len(message.id) == 16
    assert isinstance(message.timestamp, int)
    assert before - 1 < message.timestamp / 1e9 < time.time() + 1
    eventually(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 0)
    assert message.has_responded()
    eventually(lambda: consumer.total_in_flight == 0)
    assert nsqd.stats(topic, "c")["depth"] == 0
    assert nsqd.stats(topic, "c")["requeue_count"] == 0


@pytest.mark.parametrize(
    ("given", "received"),
    [
        (b"\xff\x00\xfe\n\r", b"\xff\x00\xfe\n\r"),
        ("gr\u00fc\u00dfe \u2603", "gr\u00fc\u00dfe \u2603".encode()),
        (bytearray(b"array"), b"array"),
        (memoryview(b"a view")[2:], b"view"),
    ],
    ids=["bytes", "str", "bytearray", "memoryview"],
)
def test_a_body_is_bytes_like_or_a_str(
    producer: Any, consume: Make, topic: str, eventually: Eventually, given: Any, received: bytes
) -> None:
    seen = Recorder()
    consume(seen)
    producer.publish(topic, given)
    producer.multipublish(topic, [given, given])
    eventually(lambda: len(seen.messages) == 3)
    assert seen.bodies == [received] * 3
    assert all(type(body) is bytes for body in seen.bodies)


def test_a_body_may_be_as_large_as_nsqd_takes(producer: Any, consume: Make, topic: str, eventually: Eventually) -> None:
    seen = Recorder()
    consume(seen)
    body = bytes(range(256)) * 4096
    producer.publish(topic, body)
    eventually(lambda: seen.messages)
    assert seen.bodies == [body]


def test_all_messages_of_a_multipublish_are_consumed(
    producer: Any, consume: Make, topic: str, eventually: Eventually
) -> None:
    seen = Recorder()
    bodies = [b"%d" % number for number in range(500)]
    assert producer.multipublish(topic, bodies) == b"OK"
    assert producer.multipublish(topic, (body for body in [b"from", "a generator"])) == b"OK"
    consume(seen, max_in_flight=100)
    eventually(lambda: len(seen.messages) == 502)
    assert sorted(seen.bodies) == sorted([*bodies, b"from", b"a generator"])


def test_a_deferred_message_comes_later(producer: Any, consume: Make, topic: str, eventually: Eventually) -> None:
    seen = Recorder()
    arrivals: list[float] = []
    consumer = consume(seen)
    consumer.on_message.connect(lambda *_args, **_kwargs: arrivals.append(time.monotonic()), weak=False)
    begin = time.monotonic()
    assert producer.publish(topic, b"later", defer=1500) == b"OK"
    assert producer.publish(topic, b"now") == b"OK"
    eventually(lambda: len(arrivals) == 2)
    assert seen.bodies == [b"now", b"later"]
    assert arrivals[1] - begin >= 1.4


def test_each_channel_gets_a_copy(producer: Any, consume: Make, topic: str, nsqd: Nsqd, eventually: Eventually) -> None:
    one, two = Recorder(), Recorder()
    nsqd.create(topic, "one")
    nsqd.create(topic, "two")
    consume(one, channel="one")
    consume(two, channel="two")
    producer.publish(topic, b"copied")
    eventually(lambda: one.messages and two.messages)
    assert one.messages[0].id == two.messages[0].id


def test_consumers_of_a_channel_share_its_messages(
    producer: Any, consume: Make, topic: str, eventually: Eventually
) -> None:
    one, two = Recorder(), Recorder()
    consume(one)
    consume(two)
    bodies = [b"%d" % number for number in range(100)]
    producer.multipublish(topic, bodies)
    eventually(lambda: len(one.messages) + len(two.messages) == 100)
    assert sorted(one.bodies + two.bodies) == sorted(bodies)


def test_a_result_that_is_not_waited_for_is_given_at_once(
    producer: Any, consume: Make, topic: str, eventually: Eventually
) -> None:
    seen = Recorder()
    results = [producer.publish(topic, b"%d" % number, raise_error=False) for number in range(100)]
    results.append(producer.multipublish(topic, [b"100", b"101"], raise_error=False))
    assert [result.get(timeout=30) for result in results] == [b"OK"] * 101
    for result in results:
        assert result.ready()
        assert result.successful()
        assert result.value == b"OK"
        assert result.exception is None
    consume(seen, max_in_flight=10)
    eventually(lambda: len(seen.messages) == 102)


def test_messages_are_spread_over_all_nsqds(
    make_producer: Make, consume: Make, make_nsqd: Callable[..., Nsqd], topic: str, eventually: Eventually
) -> None:
    nsqds = [make_nsqd() for _ in range(3)]
    addresses = [one.tcp_address for one in nsqds]
    producer = make_producer(addresses)
    # Those that are connected are used: all of them, in a moment.
    eventually(lambda: producer.publish(topic, b"x") and all(one.stats(topic) for one in nsqds))
    sent = sum(one.stats(topic)["message_count"] for one in nsqds)
    for _ in range(30):
        producer.publish(topic, b"x")
    counts = [one.stats(topic)["message_count"] for one in nsqds]
    assert sum(counts) == sent + 30
    assert min(counts) >= 10
    seen = Recorder()
    consume(seen, addresses=addresses, max_in_flight=3)
    eventually(lambda: len(seen.messages) == sent + 30)
