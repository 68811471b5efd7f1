"""The handlers of `gnsq.contrib` on signals of a consumer."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.workers import Worker

from gnsq.consumer import Consumer
from gnsq.contrib.batch import BatchHandler
from gnsq.contrib.giveup import JSONLogGiveupHandler, NsqdGiveupHandler
from gnsq.contrib.queue import ChannelHandler, QueueHandler
from gnsq.contrib.sentry import SentryExceptionHandler

Eventually = Callable[..., Any]
MakeConsumer = Callable[..., Consumer]

CHANNEL = "channel"


@pytest.fixture
def consume(nsqd: Any, topic: str) -> Iterator[MakeConsumer]:
    """`consume(**options)`: a consumer that is closed in the end."""
    made: list[Consumer] = []

    def make(**options: Any) -> Consumer:
        made.append(Consumer(topic, CHANNEL, nsqd.tcp_address, **options))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()
    for consumer in made:
        consumer.join(30)


def publish(nsqd: Any, topic: str, number: int) -> list[bytes]:
    bodies = [b"%d" % index for index in range(number)]
    nsqd.create(topic, CHANNEL)
    nsqd.publish(topic, *bodies)
    return bodies


def is_done(nsqd: Any, topic: str) -> bool:
    """Whether every message has been finished."""
    stats = nsqd.stats(topic, CHANNEL)
    return bool(stats) and not (stats["depth"] or stats["in_flight_count"] or stats["deferred_count"])


def test_batches_are_handled_and_finished(nsqd: Any, topic: str, consume: MakeConsumer, eventually: Eventually) -> None:
    batches: list[Any] = []
    bodies = publish(nsqd, topic, 60)
    handler: Any = BatchHandler(10, handle_batch=batches.append, handle_message=lambda message: message.body)
    consumer = consume(max_in_flight=100)
    consumer.on_message.connect(handler)
    consumer.start(block=False)
    eventually(lambda: is_done(nsqd, topic))
    assert sorted(body for batch in batches for body in batch) == sorted(bodies)
    assert [len(batch) for batch in batches] == [10] * 6


def test_what_is_left_of_a_batch_is_handled_in_time(
    nsqd: Any, topic: str, consume: MakeConsumer, eventually: Eventually
) -> None:
    batches: list[Any] = []
    publish(nsqd, topic, 5)
    handler: Any = BatchHandler(10, handle_batch=batches.append, timeout=0.3)
    consumer = consume(max_in_flight=100)
    consumer.on_message.connect(handler)
    with pytest.warns(RuntimeWarning, match="no message"):
        consumer.start(block=False)
        eventually(lambda: sum(map(len, batches)) == 5 and is_done(nsqd, topic))


def test_a_starved_consumer_does_not_wait_for_a_full_batch(
    nsqd: Any, topic: str, consume: MakeConsumer, eventually: Eventually
) -> None:
    batches: list[Any] = []
    publish(nsqd, topic, 1)
    handler: Any = BatchHandler(100, handle_batch=batches.append, timeout=None)
    consumer = consume(max_in_flight=1)
    consumer.on_message.connect(handler)
    with pytest.warns(RuntimeWarning, match="starved"):
        consumer.start(block=False)
        eventually(lambda: len(batches) == 1 and is_done(nsqd, topic))


@pytest.mark.filterwarnings("ignore:there was no message")
@pytest.mark.filterwarnings("ignore:the consumer is starved")
def test_messages_that_wait_for_the_handler_are_no_reason_for_small_batches(
    nsqd: Any, topic: str, consume: MakeConsumer, eventually: Eventually
) -> None:
    batches: list[Any] = []
    publish(nsqd, topic, 300)
    handler: Any = BatchHandler(20, handle_batch=batches.append, timeout=0.5, spawn=1)
    consumer = consume(max_in_flight=40)
    consumer.on_message.connect(handler)
    consumer.start(block=False)
    eventually(lambda: is_done(nsqd, topic) and sum(map(len, batches)) >= 300)
    # Chance makes some of them smaller: when RDY grows, or nsqd sends what was just made room for.
    assert [len(batch) for batch in batches].count(20) >= 5


def test_a_batch_that_fails_comes_again(nsqd: Any, topic: str, consume: MakeConsumer, eventually: Eventually) -> None:
    attempts: list[int] = []

    def handle_batch(batch: list[Any]) -> None:
        attempts.extend(message.attempts for message in batch)
        if batch[0].attempts == 1:
            raise ValueError("not yet")

    publish(nsqd, topic, 4)
    handler: Any = BatchHandler(4, handle_batch=handle_batch, handle_batch_error=lambda *_: None, timeout=0.3, spawn=1)
    consumer = consume(max_in_flight=100, max_backoff_duration=0)
    consumer.on_message.connect(handler)
    consumer.start(block=False)
    eventually(lambda: sorted(attempts) == [1] * 4 + [2] * 4 and is_done(nsqd, topic))


@pytest.mark.parametrize("make", [QueueHandler, ChannelHandler])
def test_messages_are_handled_out_of_a_queue(
    nsqd: Any, topic: str, consume: MakeConsumer, spawn: Callable[..., Worker], eventually: Eventually, make: Any
) -> None:
    bodies = publish(nsqd, topic, 40)
    handler = make()
    seen: list[bytes] = []

    def work() -> None:
        for message in handler:
            seen.append(message.body)
            message.finish()

    workers = [spawn(work) for _ in range(3)]
    consumer = consume(max_in_flight=7)
    consumer.on_message.connect(handler)
    consumer.start(block=False)
    eventually(lambda: is_done(nsqd, topic))
    assert sorted(seen) == sorted(bodies)
    for _ in workers:
        handler.put(StopIteration)
    for worker in workers:
        worker.result()


def test_messages_that_are_given_up_are_kept(
    nsqd: Any, topic: str, consume: MakeConsumer, eventually: Eventually
) -> None:
    body, out = b"bad \xff", io.StringIO()
    dead = f"{topic}.dead"
    consumer = consume(max_tries=2, max_backoff_duration=0)
    consumer.on_message.connect(fail)
    consumer.on_giving_up.connect(JSONLogGiveupHandler(out.write), weak=False)
    consumer.on_giving_up.connect(NsqdGiveupHandler(dead, nsqd.http_address), weak=False)
    nsqd.publish(topic, body)
    consumer.start(block=False)
    eventually(lambda: is_done(nsqd, topic) and nsqd.stats(dead))
    assert nsqd.stats(dead)["message_bytes"] == len(body)
    given = json.loads(out.getvalue())
    assert given["body"].encode(errors="surrogateescape") == body
    assert given["attempts"] == 3


def test_sentry_is_told_of_what_handlers_raise(
    nsqd: Any, topic: str, consume: MakeConsumer, eventually: Eventually
) -> None:
    sent: list[Any] = []

    class Client:
        def capture_exception(self, error: Exception, extras: dict[str, Any]) -> None:
            sent.append((error, extras))

    consumer = consume(max_tries=1, max_backoff_duration=0)
    consumer.on_message.connect(fail)
    consumer.on_exception.connect(SentryExceptionHandler(Client()), weak=False)
    nsqd.publish(topic, b"bad")
    consumer.start(block=False)
    eventually(lambda: sent and is_done(nsqd, topic))
    ((error, extras),) = sent
    assert isinstance(error, ValueError)
    assert (extras["topic"], extras["channel"], extras["message_body"]) == (topic, CHANNEL, "bad")


def fail(consumer: Any, message: Any) -> None:
    raise ValueError("no such thing")
