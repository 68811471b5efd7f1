"""Connections that are lost come back by themselves."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from support.handlers import Recorder
from support.peer import socket
from support.servers import Nsqd, real_only
from support.waiting import pause

from gnsq import errors

Eventually = Callable[..., Any]
Make = Callable[..., Any]


def test_a_producer_comes_back_after_a_restart(make_producer: Make, nsqd: Nsqd, topic: str) -> None:
    producer = make_producer(max_backoff_duration=1)
    producer.publish(topic, b"before")
    nsqd.stop()
    nsqd.start()
    # One that was cut off is told so; the next one waits for the connection.
    for _ in range(2):
        try:
            assert producer.publish(topic, b"after", timeout=30) == b"OK"
            break
        except errors.NSQException:
            pass
    else:
        pytest.fail("two publishes failed after a restart")
    assert nsqd.stats(topic)["message_count"] >= 1


def test_attempts_to_connect_follow_at_most_so_far_apart(api: Any, spawn: Callable[..., Any]) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def refuse() -> None:
            for _ in range(12):
                server.accept()[0].close()

        # Twice as far each time, they would take minutes.
        refused = spawn(refuse)
        with api.Producer(f"127.0.0.1:{server.getsockname()[1]}", max_backoff_duration=0.05):
            refused.result(timeout=20)


def test_a_consumer_comes_back_after_a_restart(consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually) -> None:
    seen = Recorder()
    consume(seen, max_backoff_duration=1)
    nsqd.publish(topic, b"before")
    eventually(lambda: seen.messages)
    for round_number in range(3):
        nsqd.kill()
        nsqd.start()
        body = b"after %d" % round_number
        nsqd.publish(topic, body)
        eventually(lambda body=body: body in seen.bodies)


@real_only
def test_a_connection_that_is_lost_fails_what_waits_on_it(
    make_producer: Make, nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    producer = make_producer()
    producer.publish(topic, b"x")
    nsqd.pause()  # type: ignore[attr-defined]
    results = [producer.publish(topic, b"x", raise_error=False) for _ in range(10)]
    pause(0.2)
    assert not any(result.ready() for result in results)
    nsqd.kill()
    for result in results:
        with pytest.raises(errors.NSQException):
            result.get(timeout=30)


@real_only
def test_nothing_that_was_confirmed_is_lost_over_restarts(
    make_producer: Make, consume: Make, nsqd: Nsqd, topic: str, eventually: Eventually, spawn: Callable[..., Any]
) -> None:
    seen: set[bytes] = set()
    consume(lambda _consumer, message: seen.add(message.body), max_in_flight=100, max_tries=0, max_backoff_duration=1)
    producer = make_producer(max_backoff_duration=1)
    confirmed: list[bytes] = []
    stop: list[bool] = []

    def publish(name: int) -> None:
        number = 0
        while not stop:
            body = b"%d-%d" % (name, number)
            number += 1
            try:
                producer.publish(topic, body, timeout=30)
                confirmed.append(body)
            except errors.NSQException:
                continue

    workers = [spawn(publish, name) for name in range(4)]
    for _ in range(3):
        count = len(confirmed)
        eventually(lambda count=count: len(confirmed) > count + 100)
        nsqd.stop()
        nsqd.start()
    stop.append(True)
    for worker in workers:
        worker.result(timeout=60)
    eventually(lambda: seen.issuperset(confirmed), timeout=90)
