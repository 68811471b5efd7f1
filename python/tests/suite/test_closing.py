"""How clients begin and end."""

from __future__ import annotations

import time
from typing import Any, Callable

import pytest
from support.handlers import Heard, Recorder
from support.servers import Nsqd
from support.waiting import pause

from gnsq import errors

Eventually = Callable[..., Any]
Make = Callable[..., Any]


def test_a_producer_closes_once_its_messages_are_with_nsqd(api: Any, nsqd: Nsqd, topic: str) -> None:
    producer = api.Producer(nsqd.tcp_address)
    assert not producer.is_running
    producer.start()
    assert producer.is_running
    closed = Heard()
    producer.on_close.connect(closed, weak=False)
    producer.publish(topic, b"x")
    producer.close()
    producer.join(timeout=30, raise_error=True)
    assert not producer.is_running
    assert len(closed) == 1
    assert nsqd.stats(topic)["message_count"] == 1
    with pytest.raises(errors.NSQException):
        producer.publish(topic, b"x")
    with pytest.raises(errors.NSQException):
        producer.start()
    # Once more is no error.
    producer.close()
    producer.join(timeout=30)


def test_a_producer_is_a_context_manager(api: Any, nsqd: Nsqd, topic: str) -> None:
    with api.Producer(nsqd.tcp_address) as producer:
        assert producer.is_running
        producer.publish(topic, b"x")
    assert not producer.is_running
    assert nsqd.stats(topic)["message_count"] == 1


def test_a_producer_that_never_began_publishes_nothing(api: Any, nsqd: Nsqd, topic: str) -> None:
    producer = api.Producer(nsqd.tcp_address)
    with pytest.raises(errors.NSQException):
        producer.publish(topic, b"x")
    with pytest.raises(errors.NSQException):
        producer.publish(topic, b"x", block=False)


def test_a_join_that_is_to_raise_does_so_while_clients_run(make_producer: Make, consume: Make) -> None:
    for client in (make_producer(), consume(lambda consumer, message: None)):
        client.join(timeout=0.05)
        with pytest.raises(errors.NSQException, match=r"not closed after 0\.05 s"):
            client.join(timeout=0.05, raise_error=True)
        client.close()
        client.join(timeout=30, raise_error=True)


def test_start_blocks_until_the_consumer_is_closed(
    make_consumer: Make, nsqd: Nsqd, topic: str, spawn: Callable[..., Any], eventually: Eventually
) -> None:
    seen = Recorder()
    consumer = make_consumer(seen)
    worker = spawn(consumer.start)
    nsqd.publish(topic, b"x")
    eventually(lambda: seen.messages)
    assert consumer.is_running
    assert not worker.ended
    consumer.close()
    worker.result(timeout=30)
    assert not consumer.is_running


def test_a_consumer_without_a_receiver_does_not_start(api: Any, nsqd: Nsqd, topic: str) -> None:
    consumer = api.Consumer(topic, "c", nsqd.tcp_address)
    with pytest.raises(RuntimeError):
        consumer.start()
    assert not consumer.is_running


def test_a_handler_may_be_given_at_once(api: Any, nsqd: Nsqd, topic: str, eventually: Eventually) -> None:
    seen = Recorder()
    consumer = api.Consumer(topic, "c", nsqd.tcp_address, message_handler=seen)
    consumer.start(block=False)
    nsqd.publish(topic, b"x")
    eventually(lambda: seen.messages)
    consumer.close()
    consumer.join(timeout=30)


def test_a_closed_consumer_gives_nsqd_everything_back(
    consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    seen = Recorder(then=lambda message: message.enable_async())
    consumer = consume(seen, max_in_flight=20)
    closed = Heard()
    consumer.on_close.connect(closed, weak=False)
    nsqd.create(topic, "c")
    nsqd.publish(topic, *[b"%d" % number for number in range(30)])
    eventually(lambda: len(seen.messages) == 20)
    consumer.close()
    consumer.join(timeout=30)
    assert len(closed) == 1
    # nsqd's own timeout is a minute away.
    eventually(lambda: nsqd.stats(topic, "c").get("depth") == 30, timeout=20)
    assert nsqd.stats(topic, "c")["in_flight_count"] == 0


def test_a_handler_may_close_its_consumer(
    make_consumer: Make, nsqd: Nsqd, topic: str, spawn: Callable[..., Any], eventually: Eventually
) -> None:
    def handle(consumer: Any, message: Any) -> None:
        consumer.close()

    consumer = make_consumer(handle)
    nsqd.publish(topic, b"x")
    spawn(consumer.start).result(timeout=30)
    # It was not finished: the consumer was closed meanwhile.
    eventually(lambda: nsqd.stats(topic, "c").get("depth") == 1, timeout=20)


def test_join_tells_when_time_is_over(consume: Make, producer: Any) -> None:
    consumer = consume(Recorder())
    for client in (consumer, producer):
        begin = time.monotonic()
        client.join(timeout=0.2)
        assert 0.1 < time.monotonic() - begin < 20
        assert client.is_running


def test_a_consumer_may_be_closed_before_it_has_connected(make_consumer: Make, make_nsqd: Callable[..., Nsqd]) -> None:
    nsqd = make_nsqd()
    nsqd.stop()
    consumer = make_consumer(Recorder(), addresses=nsqd.tcp_address)
    consumer.start(block=False)
    consumer.close()
    consumer.join(timeout=30)
    assert not consumer.is_running


def test_a_second_start_warns_and_changes_nothing(
    consume: Make, producer: Any, nsqd: Nsqd, topic: str, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Recorder()
    consumer = consume(seen)
    for client in (consumer, producer):
        caplog.clear()
        with pytest.warns(RuntimeWarning):
            client.start(**({"block": False} if client is consumer else {}))
        assert [record.levelname for record in caplog.records] == ["WARNING"]
    nsqd.publish(topic, b"x")
    eventually(lambda: seen.messages)
    pause(0.1)
    assert len(seen.messages) == 1


def test_clients_show_their_state(api: Any, nsqd: Nsqd, topic: str) -> None:
    producer = api.Producer(nsqd.tcp_address)
    consumer = api.Consumer(topic, "c", nsqd.tcp_address)
    assert nsqd.tcp_address in repr(producer)
    assert topic in repr(consumer)
