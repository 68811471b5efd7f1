"""`gnsq.contrib.batch`: when a batch goes, how it is handled, and what becomes of its messages."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest
from support import mode
from support.fakes import FakeConsumer, FakeMessage, messages
from support.waiting import pause

from gnsq.contrib.batch import BatchHandler
from gnsq.errors import NSQException, NSQRequeueMessage

FINISHED = [("finish",)]
REQUEUED = [("requeue", 0, True)]

Eventually = Callable[..., Any]
Spawn = Callable[..., Any]


def at_once(function: Callable[..., object], *args: object) -> None:
    function(*args)


def give(handler: Any, given: list[FakeMessage], consumer: FakeConsumer | None = None) -> None:
    for message in given:
        handler(consumer or FakeConsumer(), message=message)


def test_a_full_batch_is_handled_and_finished(eventually: Eventually) -> None:
    batches: list[Any] = []
    given = messages(6)
    handler: Any = BatchHandler(3, handle_batch=batches.append)
    give(handler, given[:2])
    assert all(message.is_async() for message in given[:2])
    give(handler, given[2:])
    eventually(lambda: all(message.answers == FINISHED for message in given))
    assert sorted(batches, key=lambda batch: batch[0].body) == [given[:3], given[3:]]


def test_a_batch_that_is_not_full_waits() -> None:
    given = messages(2)
    handler: Any = BatchHandler(3, handle_batch=lambda batch: None, spawn=at_once)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        give(handler, given)
    assert [message.answers for message in given] == [[], []]
    assert repr(handler) == "<BatchHandler 2 of 3 messages>"


def test_a_starved_consumer_has_its_batch_handled_with_a_warning() -> None:
    batches: list[Any] = []
    given = messages(2)
    handler: Any = BatchHandler(3, handle_batch=batches.append, spawn=at_once)
    give(handler, given[:1])
    with pytest.warns(RuntimeWarning, match="starved"):
        give(handler, given[1:], FakeConsumer(is_starved=True))
    assert batches == [given]
    assert [message.answers for message in given] == [FINISHED, FINISHED]


def test_a_full_batch_of_a_starved_consumer_is_no_reason_to_warn() -> None:
    given = messages(1)
    handler: Any = BatchHandler(1, handle_batch=lambda batch: None, spawn=at_once)
    give(handler, given, FakeConsumer(is_starved=True))
    assert given[0].answers == FINISHED


def test_a_warning_that_is_an_error_does_not_reach_the_consumer(caplog: pytest.LogCaptureFixture) -> None:
    given = messages(1)
    handler: Any = BatchHandler(2, handle_batch=lambda batch: None, spawn=at_once)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        give(handler, given, FakeConsumer(is_starved=True))
    assert given[0].answers == FINISHED
    assert "starved" in caplog.text


def test_a_batch_is_handled_some_time_after_its_last_message(eventually: Eventually) -> None:
    given: dict[FakeMessage, float] = {}
    ended: list[tuple[float, list[FakeMessage]]] = []
    handler: Any = BatchHandler(10, handle_batch=lambda batch: ended.append((time.monotonic(), batch)), timeout=0.4)
    with pytest.warns(RuntimeWarning, match=r"0\.4 s"):
        for message in messages(4):
            given[message] = time.monotonic()
            give(handler, [message])
            pause(0.2)
        eventually(lambda: all(message.answers == FINISHED for message in given))
    for when, batch in ended:
        assert when - given[batch[-1]] >= 0.4
    times = list(given.values())
    if max(later - earlier for earlier, later in zip(times, times[1:])) < 0.4:
        assert len(ended) == 1


def test_without_a_timeout_a_batch_has_to_be_full(eventually: Eventually) -> None:
    given = messages(2)
    handler: Any = BatchHandler(2, handle_batch=lambda batch: None, timeout=None)
    give(handler, given[:1])
    assert handler._timer is None
    give(handler, given[1:])
    eventually(lambda: all(message.answers == FINISHED for message in given))


def test_the_timer_ends_with_its_batch(eventually: Eventually) -> None:
    waiting = threading.active_count()
    given = messages(200)
    handler: Any = BatchHandler(2, handle_batch=lambda batch: None, timeout=3600)
    give(handler, given)
    eventually(lambda: all(message.answers == FINISHED for message in given))
    assert handler._timer is None
    eventually(lambda: threading.active_count() <= waiting)


def test_each_batch_has_a_time_of_its_own(eventually: Eventually) -> None:
    given = messages(5)
    handler: Any = BatchHandler(2, handle_batch=lambda batch: None, timeout=0.3)
    give(handler, given[:4])
    with pytest.warns(RuntimeWarning):
        give(handler, given[4:])
        eventually(lambda: all(message.answers == FINISHED for message in given))


def test_the_batch_is_what_is_made_of_messages() -> None:
    batches: list[Any] = []
    handler: Any = BatchHandler(
        2, handle_batch=batches.append, handle_message=lambda message: int(message.body), spawn=at_once
    )
    give(handler, messages(4))
    assert batches == [[0, 1], [2, 3]]


def test_handle_message_alone_is_enough() -> None:
    bodies: list[bytes] = []
    given = messages(2)
    give(BatchHandler(2, handle_message=lambda message: bodies.append(message.body), spawn=at_once), given)
    assert bodies == [b"0", b"1"]
    assert [message.answers for message in given] == [FINISHED, FINISHED]


def test_without_any_handler_messages_are_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    given = messages(2)
    give(BatchHandler(2, spawn=at_once), given)
    assert [message.answers for message in given] == [REQUEUED, REQUEUED]
    assert "handle_batch" in caplog.text


def test_a_message_that_can_not_be_handled_is_requeued_and_the_others_go_on() -> None:
    batches: list[Any] = []
    told: list[Any] = []

    def handle_message(message: FakeMessage) -> bytes:
        if message.body == b"1":
            raise ValueError("not this one")
        return message.body

    given = messages(3)
    handler: Any = BatchHandler(
        3,
        handle_batch=batches.append,
        handle_message=handle_message,
        handle_message_error=lambda error, message: told.append((type(error), message)),
        spawn=at_once,
    )
    give(handler, given)
    assert batches == [[b"0", b"2"]]
    assert told == [(ValueError, given[1])]
    assert [message.answers for message in given] == [FINISHED, REQUEUED, FINISHED]


def test_a_batch_of_which_nothing_is_left_is_not_handled(caplog: pytest.LogCaptureFixture) -> None:
    batches: list[Any] = []

    def handle_message(message: FakeMessage) -> None:
        raise ValueError("none of them")

    given = messages(2)
    give(BatchHandler(2, handle_batch=batches.append, handle_message=handle_message, spawn=at_once), given)
    assert batches == []
    assert [message.answers for message in given] == [REQUEUED, REQUEUED]
    assert "none of them" in caplog.text


def test_a_batch_that_can_not_be_handled_is_requeued() -> None:
    told: list[Any] = []

    def handle_batch(batch: list[Any]) -> None:
        raise ValueError("not this batch")

    given = messages(2)
    handler: Any = BatchHandler(
        2,
        handle_batch=handle_batch,
        handle_message=lambda message: message.body,
        handle_batch_error=lambda error, messages, batch: told.append((str(error), messages, batch)),
        spawn=at_once,
    )
    give(handler, given)
    assert told == [("not this batch", given, [b"0", b"1"])]
    assert [message.answers for message in given] == [REQUEUED, REQUEUED]


@pytest.mark.parametrize(("backoff", "asked"), [(None, True), (True, True), (False, False)])
def test_a_handler_may_ask_to_requeue(backoff: bool | None, asked: bool) -> None:
    def handle_batch(batch: list[Any]) -> None:
        raise NSQRequeueMessage(backoff=backoff)

    given = messages(2)
    give(BatchHandler(2, handle_batch=handle_batch, handle_batch_error=lambda *_: None, spawn=at_once), given)
    assert [message.answers for message in given] == [[("requeue", 0, asked)]] * 2


def test_handlers_may_be_overridden() -> None:
    told: list[Any] = []

    class Handler(BatchHandler[Any]):
        def handle_message(self, message: Any) -> Any:
            if message.body == b"0":
                raise ValueError("zero")
            return message.body

        def handle_batch(self, batch: list[Any]) -> None:
            raise TypeError(batch)

        def handle_message_error(self, error: Exception, message: Any) -> None:
            told.append((type(error), message.body))

        def handle_batch_error(self, error: Exception, messages: list[Any], batch: list[Any]) -> None:
            told.append((type(error), [message.body for message in messages], batch))

    given = messages(3)
    give(Handler(3, spawn=at_once), given)
    assert told == [(ValueError, b"0"), (TypeError, [b"1", b"2"], [b"1", b"2"])]
    assert [message.answers for message in given] == [REQUEUED] * 3


def test_an_exception_in_a_handler_of_errors_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("again")

    given = messages(2)
    give(BatchHandler(2, handle_batch=fail, handle_batch_error=fail, spawn=at_once), given)
    assert [message.answers for message in given] == [REQUEUED] * 2
    assert "a handler of errors has failed" in caplog.text


def test_messages_that_have_been_answered_are_left_alone() -> None:
    given = messages(3)
    give(BatchHandler(3, handle_batch=lambda batch: batch[1].requeue(5, backoff=False), spawn=at_once), given)
    assert [message.answers for message in given] == [FINISHED, [("requeue", 5, False)], FINISHED]


@pytest.mark.parametrize("failure", [NSQException("the connection is closed"), ValueError("a slot fails")])
def test_a_message_that_can_not_be_answered_harms_no_other(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    given = [FakeMessage(), FakeMessage(fails=failure), FakeMessage()]
    with caplog.at_level(logging.WARNING):
        give(BatchHandler(3, handle_batch=lambda batch: None, spawn=at_once), given)
    assert [message.answers for message in given] == [FINISHED, [], FINISHED]
    assert repr(given[1].id) in caplog.text


def test_messages_of_a_batch_that_can_not_be_run_are_requeued() -> None:
    def spawn(function: Any, *args: Any) -> None:
        raise RuntimeError("can't start new thread")

    given = messages(2)
    handler: Any = BatchHandler(2, handle_batch=lambda batch: None, spawn=spawn)
    with pytest.raises(RuntimeError):
        give(handler, given)
    assert [message.answers for message in given] == [REQUEUED] * 2


def test_batches_run_beside_each_other_and_the_handler(eventually: Eventually, spawn: Spawn) -> None:
    handled: list[Any] = []
    gate: list[bool] = []

    def handle_batch(batch: list[Any]) -> None:
        handled.append(batch)
        while not gate:
            pause(0.005)

    given = messages(4)
    handler: Any = BatchHandler(1, handle_batch=handle_batch)
    give(handler, given)
    eventually(lambda: len(handled) == 4)
    assert not any(message.answers for message in given)
    gate.append(True)
    eventually(lambda: all(message.answers == FINISHED for message in given))


def test_a_number_is_a_pool_of_that_size_in_order_of_arrival(eventually: Eventually) -> None:
    order: list[Any] = []
    running = [0, 0]
    lock = threading.Lock()

    def handle_batch(batch: list[Any]) -> None:
        with lock:
            order.append(int(batch[0].body))
            running[0] += 1
            running[1] = max(running)
        pause(0.002)
        with lock:
            running[0] -= 1

    given = messages(50)
    handler: Any = BatchHandler(1, handle_batch=handle_batch, spawn=3)
    give(handler, given)
    eventually(lambda: all(message.answers == FINISHED for message in given))
    assert order == list(range(50))
    assert running[1] == 3


@pytest.mark.skipif(not mode.IS_GEVENT, reason="greenlets")
def test_a_batch_that_is_killed_is_requeued_and_its_pool_goes_on(eventually: Eventually) -> None:
    import gevent

    def handle_batch(batch: list[Any]) -> None:
        if batch[0].body == b"0":
            gevent.getcurrent().kill()

    given = messages(3)
    give(BatchHandler(1, handle_batch=handle_batch, spawn=1), given)
    eventually(lambda: [message.answers for message in given] == [REQUEUED, FINISHED, FINISHED])


@pytest.mark.parametrize(("batch_size", "spawn"), [(0, None), (-1, None), (1, 0), (1, -1)])
def test_nothing_in_a_batch_or_in_a_pool_is_refused(batch_size: int, spawn: int | None) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BatchHandler(batch_size, spawn=spawn)


@pytest.mark.skipif(mode.IS_GEVENT, reason="threads of a pool")
def test_a_pool_of_threads_may_run_batches(eventually: Eventually) -> None:
    given = messages(4)
    with ThreadPoolExecutor(1) as pool:
        give(BatchHandler(2, handle_batch=lambda batch: None, spawn=pool.submit), given)
    assert all(message.answers == FINISHED for message in given)


@pytest.mark.skipif(not mode.IS_GEVENT, reason="greenlets")
def test_greenlets_and_their_pools_may_run_batches() -> None:
    import gevent
    from gevent.pool import Pool

    pool = Pool(1)
    given = messages(4)
    give(BatchHandler(2, handle_batch=lambda batch: gevent.sleep(0), spawn=pool.spawn), given)
    pool.join()
    assert all(message.answers == FINISHED for message in given)
    started: list[Any] = []
    given = messages(2)
    give(BatchHandler(2, handle_batch=lambda batch: None, spawn=lambda *a: started.append(gevent.spawn(*a))), given)
    gevent.joinall(started)
    assert all(message.answers == FINISHED for message in given)


def test_many_callers_at_once_lose_nothing(spawn: Spawn, eventually: Eventually) -> None:
    batches: list[Any] = []
    given = messages(2000)
    handler: Any = BatchHandler(7, handle_batch=batches.append, timeout=0.5, spawn=2)
    with pytest.warns(RuntimeWarning):
        workers = [spawn(give, handler, given[index::8]) for index in range(8)]
        for worker in workers:
            worker.result()
        eventually(lambda: all(message.answers == FINISHED for message in given))
    assert sorted(message.body for batch in batches for message in batch) == sorted(message.body for message in given)
    assert [len(batch) for batch in batches].count(7) == 2000 // 7
