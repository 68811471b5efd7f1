"""How messages are answered, by handlers and by what handlers raise."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest
from support.handlers import Heard, Recorder
from support.servers import Nsqd

from gnsq import errors

Eventually = Callable[..., Any]
Make = Callable[..., Any]


def test_a_message_that_is_requeued_comes_again_with_one_more_attempt(
    producer: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    attempts: list[int] = []

    def handle(_consumer: Any, message: Any) -> None:
        attempts.append(message.attempts)
        if message.attempts < 3:
            raise errors.NSQRequeueMessage(backoff=False)

    producer.publish(topic, b"again")
    consume(handle)
    eventually(lambda: len(attempts) == 3)
    assert attempts == [1, 2, 3]
    eventually(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 0)
    assert nsqd.stats(topic, "c")["requeue_count"] == 2
    assert nsqd.stats(topic, "c")["depth"] == 0


def test_what_a_handler_raises_is_told_and_the_message_requeued(
    producer: Any, consume: Make, topic: str, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    told = Heard()
    mistake = RuntimeError("a mistake of the handler's")

    def handle(_consumer: Any, message: Any) -> None:
        if message.attempts == 1:
            raise mistake

    consumer = consume(handle, max_backoff_duration=0)
    consumer.on_exception.connect(told, weak=False)
    requeued, finished = Heard(), Heard()
    consumer.on_requeue.connect(requeued, weak=False)
    consumer.on_finish.connect(finished, weak=False)
    producer.publish(topic, b"x")
    eventually(lambda: finished)
    assert told.all("error") == [mistake]
    assert told.all("message")[0].body == b"x"
    assert requeued.all("message_id") == finished.all("message_id") == [told.all("message")[0].id]
    assert requeued.all("timeout") == [0]
    assert "a mistake of the handler's" in caplog.text


def test_requeue_delay_is_what_a_failed_message_waits(
    producer: Any, consume: Make, topic: str, eventually: Eventually
) -> None:
    arrivals: list[float] = []

    def handle(_consumer: Any, message: Any) -> None:
        arrivals.append(time.monotonic())
        if message.attempts == 1:
            raise errors.NSQRequeueMessage(backoff=False)

    consumer = consume(handle, requeue_delay=1000)
    requeued = Heard()
    consumer.on_requeue.connect(requeued, weak=False)
    producer.publish(topic, b"x")
    eventually(lambda: len(arrivals) == 2)
    assert requeued.all("timeout") == [1000]
    assert arrivals[1] - arrivals[0] >= 0.9


@pytest.mark.parametrize("max_tries", [1, 3])
def test_a_message_is_given_up_after_max_tries(
    producer: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually, max_tries: int
) -> None:
    tries: list[int] = []
    given_up = Heard()

    def handle(_consumer: Any, message: Any) -> None:
        tries.append(message.attempts)
        raise errors.NSQRequeueMessage(backoff=False)

    consumer = consume(handle, max_tries=max_tries)
    consumer.on_giving_up.connect(given_up, weak=False)
    producer.publish(topic, b"hopeless")
    eventually(lambda: given_up)
    assert given_up.all("message")[0].body == b"hopeless"
    assert given_up.all("message")[0].attempts == max_tries + 1
    assert tries == list(range(1, max_tries + 1))
    eventually(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 0)
    assert nsqd.stats(topic, "c")["depth"] == 0


def test_with_no_max_tries_a_message_is_never_given_up(
    producer: Any, consume: Make, topic: str, eventually: Eventually
) -> None:
    tries: list[int] = []

    def handle(_consumer: Any, message: Any) -> None:
        tries.append(message.attempts)
        if message.attempts < 9:
            raise errors.NSQRequeueMessage(backoff=False)

    consumer = consume(handle, max_tries=0)
    given_up, finished = Heard(), Heard()
    consumer.on_giving_up.connect(given_up, weak=False)
    consumer.on_finish.connect(finished, weak=False)
    producer.publish(topic, b"x")
    eventually(lambda: finished)
    assert tries == list(range(1, 10))
    assert not given_up.calls


def test_an_async_message_is_answered_when_its_owner_does(
    producer: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    seen = Recorder(then=lambda message: message.enable_async())
    consumer = consume(seen, max_in_flight=5)
    finished = Heard()
    consumer.on_finish.connect(finished, weak=False)
    producer.multipublish(topic, [b"%d" % number for number in range(5)])
    eventually(lambda: len(seen.messages) == 5)
    assert all(message.is_async() for message in seen.messages)
    assert not any(message.has_responded() for message in seen.messages)
    assert nsqd.stats(topic, "c")["in_flight_count"] == 5
    for message in seen.messages:
        message.finish()
        assert message.has_responded()
    eventually(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 0)
    eventually(lambda: sorted(finished.all("message_id")) == sorted(message.id for message in seen.messages))
    assert nsqd.stats(topic, "c")["depth"] == 0


def test_a_message_may_be_answered_from_elsewhere(
    producer: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually, spawn: Callable[..., Any]
) -> None:
    seen = Recorder(then=lambda message: message.enable_async())
    consume(seen, max_in_flight=50)
    producer.multipublish(topic, [b"%d" % number for number in range(50)])
    eventually(lambda: len(seen.messages) == 50)
    workers = [spawn(message.finish) for message in seen.messages]
    for worker in workers:
        worker.result()
    eventually(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 0)
    assert nsqd.stats(topic, "c")["depth"] == 0


def test_a_handler_may_answer_itself(
    producer: Any, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    def handle(_consumer: Any, message: Any) -> None:
        if message.attempts == 1:
            message.requeue(time_ms=0, backoff=False)
        else:
            message.finish()

    finished = Heard()
    consumer = consume(handle)
    consumer.on_finish.connect(finished, weak=False)
    producer.publish(topic, b"x")
    eventually(lambda: finished)
    eventually(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 0)
    assert nsqd.stats(topic, "c")["requeue_count"] == 1
    assert len(finished) == 1


def test_a_second_answer_is_refused(producer: Any, consume: Make, topic: str, eventually: Eventually) -> None:
    seen = Recorder(then=lambda message: message.enable_async())
    consume(seen)
    producer.publish(topic, b"x")
    eventually(lambda: seen.messages)
    message = seen.messages[0]
    message.finish()
    with pytest.raises(errors.NSQException):
        message.finish()
    with pytest.raises(errors.NSQException):
        message.requeue()
    with pytest.raises(errors.NSQException):
        message.touch()


def test_a_message_tells_how_it_was_answered(producer: Any, consume: Make, topic: str, eventually: Eventually) -> None:
    seen = Recorder(then=lambda message: message.enable_async())
    consume(seen, max_in_flight=2, max_backoff_duration=0)
    producer.multipublish(topic, [b"one", b"two"])
    eventually(lambda: len(seen.messages) == 2)
    finished, requeued, touched = Heard(), Heard(), Heard()
    one, two = seen.messages
    one.on_finish.connect(finished, weak=False)
    one.on_touch.connect(touched, weak=False)
    two.on_requeue.connect(requeued, weak=False)
    one.touch()
    one.finish()
    two.requeue(time_ms=60_000, backoff=False)
    assert touched.calls == finished.calls == [(one, {})]
    assert requeued.calls == [(two, {"timeout": 60_000, "backoff": False})]


def test_a_message_that_is_touched_is_not_sent_again(
    make_nsqd: Callable[..., Nsqd], make_producer: Make, consume: Make, topic: str, eventually: Eventually
) -> None:
    nsqd = make_nsqd(msg_timeout=1)
    seen = Recorder(then=lambda message: message.enable_async())
    consume(seen, addresses=nsqd.tcp_address)
    make_producer(nsqd.tcp_address).publish(topic, b"x")
    eventually(lambda: seen.messages)
    message = seen.messages[0]
    begin = time.monotonic()

    def over() -> bool:
        message.touch()
        return time.monotonic() - begin > 3

    eventually(over)
    message.finish()
    eventually(lambda: nsqd.stats(topic, "c")["in_flight_count"] == 0)
    assert len(seen.messages) == 1
    assert nsqd.stats(topic, "c")["timeout_count"] == 0


def test_the_message_timeout_can_be_negotiated(
    producer: Any, consume: Make, topic: str, nsqd: Nsqd, eventually: Eventually
) -> None:
    seen = Recorder(then=lambda message: message.enable_async())
    consume(seen, message_timeout=1000, max_in_flight=1)
    producer.publish(topic, b"x")
    eventually(lambda: len(seen.messages) >= 2)
    assert seen.messages[1].attempts == 2
    assert nsqd.stats(topic, "c")["timeout_count"] >= 1
