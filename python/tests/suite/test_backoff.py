"""A consumer whose handler fails backs off, and comes back."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest
from support.handlers import Recorder
from support.servers import Nsqd

from gnsq import errors

Eventually = Callable[..., Any]
Make = Callable[..., Any]


def test_failures_make_it_back_off_and_a_success_ends_that(
    producer: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    works: list[bool] = []

    def handle(_consumer: Any, message: Any) -> None:
        if not works:
            raise RuntimeError("not yet")

    consumer = consume(handle, max_in_flight=10, max_tries=0, max_backoff_duration=1)
    eventually(lambda: consumer.total_ready_count > 0)
    producer.multipublish(topic, [b"%d" % number for number in range(10)])
    eventually(lambda: consumer.total_ready_count == 0)
    eventually(lambda: nsqd.stats(topic, "c")["clients"][0]["ready_count"] == 0)
    works.append(True)
    eventually(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 10)
    eventually(lambda: consumer.total_ready_count > 0)


@pytest.mark.parametrize("how", ["raised", "default", "message"])
def test_a_requeue_without_backoff_slows_nothing(
    producer: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually, how: str
) -> None:
    def fail(message: Any) -> None:
        if message.attempts > 3:
            return
        if how == "message":
            message.requeue(backoff=False)
        else:
            raise errors.NSQRequeueMessage(backoff=False if how == "raised" else None)

    # With a backoff, this would take three times a minute and more.
    seen = Recorder(then=fail)
    options = {"backoff_on_requeue": False} if how == "default" else {}
    consume(seen, max_in_flight=1, max_tries=0, **options)
    begin = time.monotonic()
    producer.multipublish(topic, [b"%d" % number for number in range(20)])
    eventually(lambda: len(seen.messages) == 80)
    assert time.monotonic() - begin < 20
    eventually(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == 20)


def test_a_consumer_that_backs_off_can_be_closed(
    producer: Any, consume: Make, topic: str, eventually: Eventually
) -> None:
    def fail(_consumer: Any, message: Any) -> None:
        raise RuntimeError("always")

    consumer = consume(fail, max_in_flight=1, max_backoff_duration=3600)
    eventually(lambda: consumer.total_ready_count > 0)
    producer.publish(topic, b"x")
    eventually(lambda: consumer.total_ready_count == 0)
    begin = time.monotonic()
    consumer.close()
    consumer.join(timeout=30)
    assert not consumer.is_running
    assert time.monotonic() - begin < 10
