"""What becomes of a message, by what its handler does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest
from support.servers import Nsqd
from support.waiting import eventually, pause

from gnsq.consumer import Consumer
from gnsq.errors import NSQException, NSQRequeueMessage


@contextmanager
def consuming(nsqd: Nsqd, topic: str, handler: Callable[..., Any] | None, **options: Any) -> Iterator[Consumer]:
    """A consumer that runs, and is closed in the end."""
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=handler, **options)
    consumer.start(block=False)
    try:
        yield consumer
    finally:
        consumer.close()
        consumer.join(30)
        assert not consumer.is_running


def channel(nsqd: Nsqd, topic: str) -> dict[str, Any]:
    return nsqd.stats(topic, "ch")


def is_done(nsqd: Nsqd, topic: str, published: int) -> bool:
    """Whether the channel has seen so many messages, and all are finished."""
    stats = channel(nsqd, topic)
    counts = [stats[name] for name in ("depth", "in_flight_count", "deferred_count")]
    # nsqd counts a message nowhere while it is on its way to a client.
    finished = sum(client["finish_count"] for client in stats["clients"]) if stats["clients"] else published
    return bool(stats["message_count"] == finished == published and counts == [0, 0, 0])


def test_a_message_is_finished_when_its_handler_returns(nsqd: Nsqd, topic: str) -> None:
    bodies = []
    nsqd.publish(topic, b"one", b"\xff\x00two", b"three")
    with consuming(nsqd, topic, lambda consumer, message: bodies.append(message.body)):
        eventually(lambda: is_done(nsqd, topic, 3))
    assert bodies == [b"one", b"\xff\x00two", b"three"]
    assert channel(nsqd, topic)["requeue_count"] == 0


def test_a_message_that_nsqd_sends_has_everything(nsqd: Nsqd, topic: str) -> None:
    seen: list[Any] = []
    before = time.time_ns()
    nsqd.publish(topic, b"body")
    with consuming(nsqd, topic, lambda _, message: seen.append(message)):
        eventually(lambda: is_done(nsqd, topic, 1))
    (message,) = seen
    assert message.attempts == 1
    assert isinstance(message.id, bytes) and len(message.id) == 16
    assert before - 10**9 < message.timestamp < time.time_ns() + 10**9
    assert message.body is message.body
    assert message.has_responded()


def test_several_receivers_are_all_called(nsqd: Nsqd, topic: str) -> None:
    first: list[bytes] = []
    second: list[bytes] = []
    nsqd.publish(topic, b"a", b"b")
    consumer = Consumer(topic, "ch", nsqd.tcp_address)
    consumer.on_message.connect(lambda _, message: first.append(message.body), weak=False)
    consumer.on_message.connect(lambda _, message: second.append(message.body), weak=False)
    consumer.start(block=False)
    eventually(lambda: is_done(nsqd, topic, 2))
    consumer.close()
    consumer.join(30)
    assert first == second == [b"a", b"b"]


def test_a_receiver_that_comes_and_one_that_goes_while_messages_flow(nsqd: Nsqd, topic: str) -> None:
    calls: list[str] = []

    def once(consumer: Consumer, message: Any) -> None:
        calls.append("once")
        consumer.on_message.disconnect(once)
        consumer.on_message.connect(after)

    def after(_: Consumer, message: Any) -> None:
        calls.append("after")

    nsqd.publish(topic, *[b"x"] * 5)
    with consuming(nsqd, topic, once, max_in_flight=5):
        eventually(lambda: is_done(nsqd, topic, 5))
    assert calls == ["once"] + ["after"] * 4


def test_the_message_of_a_receiver_that_goes_is_finished_though_no_other_comes(nsqd: Nsqd, topic: str) -> None:
    def once(consumer: Consumer, message: Any) -> None:
        consumer.on_message.disconnect(once)
        consumer.on_message.connect(lambda _, message: None, weak=False)

    nsqd.publish(topic, b"alone")
    with consuming(nsqd, topic, once):
        eventually(lambda: is_done(nsqd, topic, 1))


def test_one_that_was_finished_by_hand_is_left_alone(nsqd: Nsqd, topic: str) -> None:
    failures: list[Exception] = []

    def handler(_: Consumer, message: Any) -> None:
        message.finish()
        for again in (message.finish, message.requeue, message.touch):
            try:
                again()
            except NSQException as error:
                failures.append(error)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler):
        eventually(lambda: is_done(nsqd, topic, 1))
    assert len(failures) == 3


def test_one_that_was_requeued_by_hand_comes_again(nsqd: Nsqd, topic: str) -> None:
    attempts: list[int] = []

    def handler(_: Consumer, message: Any) -> None:
        attempts.append(message.attempts)
        if message.attempts < 3:
            message.requeue(backoff=False)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler):
        eventually(lambda: is_done(nsqd, topic, 1))
    assert attempts == [1, 2, 3]


def test_an_async_one_is_answered_elsewhere(nsqd: Nsqd, topic: str, spawn: Callable[..., Any]) -> None:
    held: list[Any] = []

    def handler(_: Consumer, message: Any) -> None:
        message.enable_async()
        held.append(message)

    nsqd.publish(topic, b"x", b"y")
    with consuming(nsqd, topic, handler, max_in_flight=2):
        eventually(lambda: len(held) == 2)
        assert not held[0].has_responded()
        assert channel(nsqd, topic)["in_flight_count"] == 2
        spawn(held[0].finish).join(30)
        thread = threading.Thread(target=held[1].finish)
        thread.start()
        eventually(lambda: is_done(nsqd, topic, 2))
        thread.join()


def test_an_async_one_that_is_dropped_goes_back_at_once(nsqd: Nsqd, topic: str) -> None:
    attempts: list[int] = []

    def handler(_: Consumer, message: Any) -> None:
        attempts.append(message.attempts)
        if message.attempts == 1:
            message.enable_async()

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler):
        eventually(lambda: is_done(nsqd, topic, 1))
    assert attempts == [1, 2]


def test_a_failure_is_told_logged_and_tried_again(nsqd: Nsqd, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    def handler(_: Consumer, message: Any) -> None:
        if message.attempts == 1:
            raise ValueError("the first time")

    nsqd.publish(topic, b"x")
    with (
        caplog.at_level(logging.DEBUG),
        consuming(nsqd, topic, handler, max_backoff_duration=0.05) as consumer,
    ):
        consumer.on_exception.connect(lambda sender, **given: told.append((sender, given)), weak=False)
        eventually(lambda: is_done(nsqd, topic, 1))
    ((sender, given),) = told
    assert sender is consumer
    assert given.keys() == {"message", "error"}
    assert str(given["error"]) == "the first time"
    assert given["message"].body == b"x"
    logged = [record for record in caplog.records if record.name == consumer.name and record.levelno >= logging.ERROR]
    assert len(logged) == 1
    assert logged[0].exc_info is not None


def test_a_failed_one_waits_for_the_requeue_delay(nsqd: Nsqd, topic: str) -> None:
    times: list[float] = []

    def handler(_: Consumer, message: Any) -> None:
        times.append(time.monotonic())
        if message.attempts == 1:
            raise ValueError

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler, requeue_delay=400, max_backoff_duration=0):
        eventually(lambda: is_done(nsqd, topic, 1))
    assert times[1] - times[0] >= 0.4


@pytest.mark.parametrize(
    ("asked", "setting", "backs_off"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_a_handler_may_ask_for_a_requeue(
    nsqd: Nsqd, topic: str, asked: bool | None, setting: bool, backs_off: bool
) -> None:
    requeued: list[Any] = []
    failed: list[Any] = []

    def handler(_: Consumer, message: Any) -> None:
        message.on_requeue.connect(lambda _, **given: requeued.append(given), weak=False)
        if message.attempts == 1:
            raise NSQRequeueMessage(backoff=asked)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler, backoff_on_requeue=setting, max_backoff_duration=0.05) as consumer:
        consumer.on_exception.connect(lambda _, **given: failed.append(given), weak=False)
        eventually(lambda: is_done(nsqd, topic, 1))
    assert requeued == [{"timeout": 0, "backoff": backs_off}]
    assert not failed


def test_one_that_was_tried_too_often_is_given_up(nsqd: Nsqd, topic: str) -> None:
    attempts: list[int] = []
    given_up: list[Any] = []

    def handler(_: Consumer, message: Any) -> None:
        attempts.append(message.attempts)
        raise NSQRequeueMessage(backoff=False)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler, max_tries=2) as consumer:
        consumer.on_giving_up.connect(lambda sender, message: given_up.append((sender, message)), weak=False)
        eventually(lambda: is_done(nsqd, topic, 1))
    assert attempts == [1, 2]
    ((sender, message),) = given_up
    assert sender is consumer
    assert (message.attempts, message.body) == (3, b"x")


def test_without_a_limit_nothing_is_given_up(nsqd: Nsqd, topic: str) -> None:
    attempts: list[int] = []

    def handler(_: Consumer, message: Any) -> None:
        attempts.append(message.attempts)
        if message.attempts < 10:
            raise NSQRequeueMessage(backoff=False)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler, max_tries=0):
        eventually(lambda: is_done(nsqd, topic, 1))
    assert attempts == list(range(1, 11))


def test_answers_are_told(nsqd: Nsqd, topic: str) -> None:
    finished: list[Any] = []
    requeued: list[Any] = []
    seen: list[bytes] = []

    def handler(_: Consumer, message: Any) -> None:
        seen.append(message.id)
        if message.attempts == 1:
            message.requeue(7, backoff=False)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler) as consumer:
        consumer.on_finish.connect(lambda sender, **given: finished.append((sender, given)), weak=False)
        consumer.on_requeue.connect(lambda sender, **given: requeued.append((sender, given)), weak=False)
        eventually(lambda: is_done(nsqd, topic, 1))
    assert finished == [(consumer, {"message_id": seen[0]})]
    assert requeued == [(consumer, {"message_id": seen[0], "timeout": 7})]


def test_receivers_that_fail_harm_nothing(nsqd: Nsqd, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("in a slot")

    def handler(_: Consumer, message: Any) -> None:
        message.on_finish.connect(failing)
        message.on_requeue.connect(failing)
        if message.attempts == 1:
            raise ValueError("in the handler")

    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=handler, max_tries=1, max_backoff_duration=0.05)
    for signal in (
        consumer.on_finish,
        consumer.on_requeue,
        consumer.on_giving_up,
        consumer.on_exception,
        consumer.on_response,
        consumer.on_close,
    ):
        signal.connect(failing)
    nsqd.publish(topic, b"x")
    consumer.start(block=False)
    eventually(lambda: is_done(nsqd, topic, 1))
    consumer.close()
    consumer.join(30)
    assert not consumer.is_running
    assert caplog.text.count("in a slot") >= 5


def test_a_weak_receiver_may_go_away(nsqd: Nsqd, topic: str) -> None:
    class Handler:
        def __init__(self) -> None:
            self.calls = 0

        def handle(self, _: Consumer, message: Any) -> None:
            self.calls += 1

    kept = Handler()
    gone = Handler()
    consumer = Consumer(topic, "ch", nsqd.tcp_address)
    consumer.on_message.connect(gone.handle)
    nsqd.publish(topic, b"x")
    consumer.start(block=False)
    eventually(lambda: is_done(nsqd, topic, 1))
    assert gone.calls == 1
    consumer.on_message.connect(kept.handle)
    del gone
    # A worker that has just been with it lets go.
    eventually(lambda: len(consumer.on_message.receivers) == 1)
    nsqd.publish(topic, b"x")
    eventually(lambda: is_done(nsqd, topic, 2))
    consumer.close()
    consumer.join(30)
    assert kept.calls == 1


def test_one_handler_at_a_time_for_an_nsqd(nsqd: Nsqd, topic: str) -> None:
    running = 0
    most = 0

    def handler(_: Consumer, message: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        pause(0.002)
        running -= 1

    nsqd.publish(topic, *[b"x"] * 20)
    with consuming(nsqd, topic, handler, max_in_flight=10):
        eventually(lambda: is_done(nsqd, topic, 20))
    assert most == 1


def test_handlers_for_different_nsqds_run_side_by_side(make_nsqd: Callable[..., Nsqd], topic: str) -> None:
    nsqds = [make_nsqd(), make_nsqd()]
    running: list[bytes] = []

    def handler(_: Consumer, message: Any) -> None:
        running.append(message.body)
        eventually(lambda: len(running) == 2)

    for number, nsqd in enumerate(nsqds):
        nsqd.publish(topic, b"%d" % number)
    consumer = Consumer(topic, "ch", [nsqd.tcp_address for nsqd in nsqds], message_handler=handler, max_in_flight=2)
    consumer.start(block=False)
    eventually(lambda: all(is_done(nsqd, topic, 1) for nsqd in nsqds))
    consumer.close()
    consumer.join(30)
    assert sorted(running) == [b"0", b"1"]


def test_what_was_handled_while_the_next_takes_long_is_finished_meanwhile(nsqd: Nsqd, topic: str) -> None:
    """Answers that are gathered are not held for a handler."""
    goes_on = threading.Event()
    bodies: list[bytes] = []

    def handler(_: Consumer, message: Any) -> None:
        bodies.append(message.body)
        while message.body == b"slow" and not goes_on.is_set():
            pause(0.01)

    nsqd.create(topic, "ch")
    nsqd.publish(topic, b"fast", b"fast", b"slow")
    with consuming(nsqd, topic, handler, max_in_flight=3):
        try:
            eventually(lambda: bodies == [b"fast", b"fast", b"slow"])
            eventually(lambda: channel(nsqd, topic)["in_flight_count"] == 1)
        finally:
            goes_on.set()
        eventually(lambda: is_done(nsqd, topic, 3))


def test_one_that_takes_too_long_comes_again(
    make_nsqd: Callable[..., Nsqd], topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    nsqd = make_nsqd()
    attempts: list[int] = []

    def handler(_: Consumer, message: Any) -> None:
        attempts.append(message.attempts)
        if message.attempts == 1:
            pause(1.5)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler, message_timeout=1000):
        eventually(lambda: is_done(nsqd, topic, 1))
    assert attempts == [1, 2]
    assert "took longer" in caplog.text


def test_one_that_is_touched_may_take_longer(nsqd: Nsqd, topic: str) -> None:
    attempts: list[int] = []

    def handler(_: Consumer, message: Any) -> None:
        attempts.append(message.attempts)
        for _step in range(5):
            pause(0.4)
            message.touch()

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler, message_timeout=1000):
        eventually(lambda: is_done(nsqd, topic, 1))
    assert attempts == [1]


def test_a_handler_that_sleeps_misses_no_heartbeat(nsqd: Nsqd, topic: str) -> None:
    """It blocks its thread, and gevent's hub."""
    attempts: list[int] = []

    def handler(_: Consumer, message: Any) -> None:
        attempts.append(message.attempts)
        time.sleep(3.5)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler, heartbeat_interval=1) as consumer:
        errors: list[Any] = []
        consumer.on_error.connect(lambda _, error: errors.append(error), weak=False)
        eventually(lambda: is_done(nsqd, topic, 1))
        assert not errors
    assert attempts == [1]


def test_a_handler_that_ends_its_worker_loses_nothing(nsqd: Nsqd, topic: str) -> None:
    """GreenletExit ends a greenlet quietly, SystemExit a thread."""
    from support import mode

    attempts: list[int] = []

    def handler(_: Consumer, message: Any) -> None:
        attempts.append(message.attempts)
        if message.attempts == 1:
            if mode.IS_GEVENT:
                import gevent

                raise gevent.GreenletExit
            raise SystemExit

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler):
        eventually(lambda: is_done(nsqd, topic, 1))
    assert attempts == [1, 2]


def test_its_state_can_be_looked_at(nsqd: Nsqd, topic: str) -> None:
    held: list[Any] = []

    def handler(_: Consumer, message: Any) -> None:
        message.enable_async()
        held.append(message)

    nsqd.publish(topic, b"x", b"y", b"z")
    with consuming(nsqd, topic, handler, max_in_flight=2) as consumer:
        eventually(lambda: consumer.total_in_flight == 2)
        eventually(lambda: consumer.is_starved)
        eventually(lambda: consumer.total_ready_count >= 1)
        consumer.redistribute_ready_state()
        consumer.max_in_flight = 3
        eventually(lambda: consumer.total_in_flight == 3)
        for message in held:
            message.finish()
        eventually(lambda: consumer.total_in_flight == 0)
        assert not consumer.is_starved


def test_answers_of_nsqd_are_told(nsqd: Nsqd, topic: str) -> None:
    responses: list[bytes] = []
    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, lambda *_, **__: None) as consumer:
        eventually(lambda: is_done(nsqd, topic, 1))
        consumer.on_response.connect(lambda _, response: responses.append(response), weak=False)
    assert b"CLOSE_WAIT" in responses
