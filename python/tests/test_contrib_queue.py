"""`gnsq.contrib.queue`: queues that wait as the mode does."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable

import pytest
from support import mode
from support.fakes import FakeConsumer, FakeMessage, messages
from support.waiting import pause

from gnsq.contrib.queue import ChannelHandler, QueueHandler

Eventually = Callable[..., Any]
Spawn = Callable[..., Any]

BOTH = pytest.mark.parametrize("make", [QueueHandler, ChannelHandler])


@BOTH
def test_a_message_is_made_async_and_can_be_taken(make: Any, spawn: Spawn) -> None:
    handler = make()
    message = FakeMessage()
    giving = spawn(handler, FakeConsumer(), message=message)
    assert handler.get(timeout=30) is message
    giving.result()
    assert message.is_async()
    assert not message.has_responded()


@BOTH
def test_iterating_waits_for_messages_in_their_order(make: Any, spawn: Spawn) -> None:
    handler = make()
    taken: list[Any] = []

    def take() -> None:
        for message in handler:
            taken.append(message)

    taking = spawn(take)
    given = messages(100)
    for message in given:
        handler(FakeConsumer(), message=message)
    handler.put(StopIteration)
    taking.result()
    assert taken == given


@BOTH
def test_next_takes_one(make: Any, spawn: Spawn) -> None:
    handler = make()
    giving = spawn(handler.put, 5)
    assert next(handler) == 5
    giving.result()


def test_a_queue_tells_how_much_it_has() -> None:
    handler: Any = QueueHandler()
    assert (handler.qsize(), handler.empty(), handler.full(), handler.maxsize) == (0, True, False, None)
    for number in range(1000):
        handler.put(number)
    assert (handler.qsize(), handler.empty(), handler.full()) == (1000, False, False)
    assert [handler.get() for _ in range(1000)] == list(range(1000))
    assert handler.empty()


@pytest.mark.parametrize("maxsize", [None, 0])
def test_a_queue_has_no_bound_by_default(maxsize: int | None) -> None:
    handler: Any = QueueHandler(maxsize)
    for number in range(100):
        handler.put_nowait(number)
    assert handler.qsize() == 100


def test_a_full_queue_has_its_handler_wait(spawn: Spawn, eventually: Eventually) -> None:
    handler: Any = QueueHandler(maxsize=2)
    given = messages(3)
    for message in given[:2]:
        handler(FakeConsumer(), message=message)
    assert handler.full()
    waiting = spawn(handler, FakeConsumer(), message=given[2])
    eventually(lambda: len(handler._putters) == 1)
    assert not waiting.join(0.05)
    assert handler.get() is given[0]
    waiting.result()
    assert [handler.get(), handler.get()] == given[1:]


def test_a_full_queue_refuses_whoever_will_not_wait() -> None:
    handler: Any = QueueHandler(maxsize=1)
    handler.put(1)
    with pytest.raises(queue.Full):
        handler.put_nowait(2)
    with pytest.raises(queue.Full):
        handler.put(2, block=False)
    began = time.monotonic()
    with pytest.raises(queue.Full):
        handler.put(2, timeout=0.05)
    assert time.monotonic() - began >= 0.05
    assert (handler.get(), handler.empty()) == (1, True)


@BOTH
def test_an_empty_queue_refuses_whoever_will_not_wait(make: Any) -> None:
    handler = make()
    with pytest.raises(queue.Empty):
        handler.get_nowait()
    with pytest.raises(queue.Empty):
        handler.get(block=False)
    with pytest.raises(queue.Empty):
        handler.get(timeout=0)
    began = time.monotonic()
    with pytest.raises(queue.Empty):
        handler.get(timeout=0.05)
    assert time.monotonic() - began >= 0.05
    assert not handler._getters


def test_none_and_other_things_can_be_put() -> None:
    handler: Any = QueueHandler()
    handler.put(None)
    handler.put(0)
    assert (handler.get(), handler.get()) == (None, 0)


@BOTH
def test_none_reaches_whoever_waits(make: Any, spawn: Spawn, eventually: Eventually) -> None:
    handler = make()
    taking = spawn(handler.get)
    eventually(lambda: len(handler._getters) == 1)
    handler.put(None)
    assert taking.result() is None


def test_a_channel_has_a_put_wait_for_a_get(spawn: Spawn, eventually: Eventually) -> None:
    handler: Any = ChannelHandler()
    message = FakeMessage()
    giving = spawn(handler, FakeConsumer(), message=message)
    eventually(lambda: len(handler._putters) == 1)
    assert not giving.join(0.05)
    assert (handler.qsize(), handler.empty(), handler.full()) == (0, True, True)
    assert handler.get_nowait() is message
    giving.result()


def test_a_channel_refuses_a_put_that_nobody_takes(spawn: Spawn, eventually: Eventually) -> None:
    handler: Any = ChannelHandler()
    with pytest.raises(queue.Full):
        handler.put_nowait(1)
    with pytest.raises(queue.Full):
        handler.put(1, timeout=0.05)
    with pytest.raises(queue.Empty):
        handler.get_nowait()
    taking = spawn(handler.get)
    eventually(lambda: len(handler._getters) == 1)
    handler.put_nowait(2)
    assert taking.result() == 2


@pytest.mark.parametrize("make", [QueueHandler, ChannelHandler, lambda: QueueHandler(maxsize=3)])
def test_many_give_and_many_take_and_nothing_is_lost(make: Any, spawn: Spawn) -> None:
    handler = make()

    def give(start: int) -> None:
        for number in range(start, start + 250):
            handler(FakeConsumer(), message=FakeMessage(b"%d" % number))

    def take() -> list[int]:
        return [int(message.body) for message in handler]

    takers = [spawn(take) for _ in range(5)]
    givers = [spawn(give, 250 * number) for number in range(8)]
    for giver in givers:
        giver.result()
    for _ in takers:
        handler.put(StopIteration)
    taken = [taker.result() for taker in takers]
    assert sorted(number for numbers in taken for number in numbers) == list(range(2000))


@BOTH
def test_whoever_gives_up_waiting_takes_nothing_along(make: Any, spawn: Spawn) -> None:
    handler = make()
    taken: list[int] = []
    ended: list[bool] = []

    def take() -> None:
        while not ended:
            try:
                taken.append(handler.get(timeout=0.0005))
            except queue.Empty:
                pause(0)

    takers = [spawn(take) for _ in range(3)]
    given: list[int] = []
    for number in range(300):
        while True:
            try:
                handler.put(number, timeout=0.0005)
                break
            except queue.Full:
                pause(0)
        given.append(number)
        pause(0.0005)
    pause(0.02)
    ended.append(True)
    for taker in takers:
        taker.result()
    assert sorted(taken) == given


@pytest.mark.skipif(not mode.IS_GEVENT, reason="greenlets")
@BOTH
def test_a_get_that_is_killed_gives_its_item_back(make: Any) -> None:
    import gevent

    handler = make()
    killed = gevent.spawn(handler.get)
    gevent.sleep(0.01)
    handler.put(1)
    killed.kill(block=False)
    killed.join()
    # Which of both came first is gevent's to say.
    assert killed.value == 1 or handler.get(timeout=1) == 1
    assert not handler._getters


@pytest.mark.skipif(not mode.IS_GEVENT, reason="greenlets")
@BOTH
def test_a_put_that_is_killed_is_forgotten(make: Any) -> None:
    import gevent

    handler = ChannelHandler[int]() if make is ChannelHandler else QueueHandler[int](maxsize=1)
    if make is QueueHandler:
        handler.put(0)
    killed = gevent.spawn(handler.put, 1)
    gevent.sleep(0.01)
    killed.kill()
    assert not handler._putters
    handler2 = gevent.spawn(handler.put, 2)
    gevent.sleep(0.01)
    if make is QueueHandler:
        assert handler.get() == 0
    assert handler.get(timeout=1) == 2
    handler2.get(timeout=1)


@pytest.mark.skipif(not mode.IS_GEVENT, reason="greenlets")
def test_a_get_blocks_its_greenlet_only() -> None:
    import gevent

    handler: Any = QueueHandler()
    ticks: list[int] = []

    def tick() -> None:
        for number in range(5):
            gevent.sleep(0.005)
            ticks.append(number)
        handler.put("done")

    gevent.spawn(tick)
    assert handler.get(timeout=30) == "done"
    assert ticks == [0, 1, 2, 3, 4]


@pytest.mark.skipif(mode.NAME != "gevent", reason="threads beside gevent's")
def test_a_thread_beside_the_hub_may_share_a_queue() -> None:
    handler: Any = QueueHandler()
    back: Any = QueueHandler()

    def echo() -> None:
        for item in handler:
            back.put(item)

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    for number in range(50):
        handler.put(number)
        assert back.get(timeout=30) == number
    handler.put(StopIteration)
    thread.join(30)
    assert not thread.is_alive()


def test_a_queue_shows_its_state() -> None:
    handler: Any = QueueHandler(maxsize=3)
    handler.put(1)
    assert repr(handler) == "<QueueHandler maxsize=3 qsize=1>"
    assert repr(ChannelHandler()) == "<ChannelHandler getters=0 putters=0>"
