"""The outcomes of publishes that nobody waits for yet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Callable

import pytest
from support import mode
from support.servers import Nsqd

import gnsq
from gnsq.errors import NSQException

only_threads = pytest.mark.skipif(mode.IS_GEVENT, reason="under gevent it is an AsyncResult")
only_gevent = pytest.mark.skipif(not mode.IS_GEVENT, reason="an AsyncResult is there under gevent only")


@pytest.fixture
def producer(nsqd: Nsqd) -> Iterator[gnsq.Producer]:
    with gnsq.Producer(nsqd.tcp_address, max_backoff_duration=0.2) as producer:
        yield producer


def test_a_result_has_the_answer_in_the_end(producer: gnsq.Producer, topic: str) -> None:
    for result in (
        producer.publish(topic, b"x", raise_error=False),
        producer.multipublish(topic, [b"x"], raise_error=False),
    ):
        assert result.get(timeout=30) == b"OK"
        assert result.get(block=False) == b"OK"
        assert result.ready()
        assert result.successful()
        assert (result.value, result.exception) == (b"OK", None)
        assert result.wait() == b"OK"


def test_what_a_silent_nsqd_owes_is_pending_and_fails_with_the_connection(
    producer: gnsq.Producer, nsqd: Any, server_kind: str, topic: str
) -> None:
    if server_kind != "real":
        pytest.skip("only a process can be stopped")
    producer.publish(topic, b"x")
    nsqd.pause()
    results = [producer.publish(topic, b"x", raise_error=False) for _ in range(100)]
    results.append(producer.multipublish(topic, [b"x"] * 3, raise_error=False))
    first = results[0]
    assert not first.ready()
    assert not first.successful()
    assert first.value is None
    assert first.exception is None
    assert first.wait(timeout=0.01) is None
    timeout: type[BaseException] = TimeoutError
    if mode.IS_GEVENT:
        import gevent

        timeout = gevent.Timeout
    for wait in ({"timeout": 0.01}, {"block": False}):
        with pytest.raises(timeout):
            first.get(**wait)
    nsqd.kill()
    for result in results:
        with pytest.raises(NSQException):
            result.get(timeout=30)
        assert result.ready()
        assert not result.successful()
        assert result.value is None
        assert isinstance(result.exception, NSQException)
        assert result.wait() is None
        with pytest.raises(NSQException) as again:
            result.get()
        assert again.value is result.exception


def test_many_results_come_in(producer: gnsq.Producer, nsqd: Nsqd, topic: str) -> None:
    # More than may be outstanding: the publishes wait for room meanwhile.
    results = [producer.publish(topic, b"x", raise_error=False) for _ in range(25_000)]
    assert all(result.get(timeout=30) == b"OK" for result in results)
    assert nsqd.stats(topic)["message_count"] == 25_000


def test_a_result_may_be_dropped(
    producer: gnsq.Producer, nsqd: Nsqd, topic: str, eventually: Callable[..., Any]
) -> None:
    for _ in range(1000):
        producer.publish(topic, b"x", raise_error=False)
    eventually(lambda: nsqd.stats(topic).get("message_count") == 1000)


@only_threads
def test_a_future_has_the_same_outcome(producer: gnsq.Producer, topic: str) -> None:
    results = [producer.publish(topic, b"x", raise_error=False) for _ in range(100)]
    futures = [result.future() for result in results]
    assert all(isinstance(future, Future) for future in futures)
    assert {future.result(timeout=30) for future in futures} == {b"OK"}
    assert results[0].future().result(timeout=30) == b"OK"
    assert "gevent" not in sys.modules


@only_threads
def test_a_repr_shows_the_outcome(producer: gnsq.Producer, topic: str) -> None:
    result = producer.publish(topic, b"x", raise_error=False)
    result.get()
    assert "OK" in repr(result)


@only_gevent
def test_under_gevent_it_is_an_async_result(producer: gnsq.Producer, topic: str) -> None:
    import gevent
    from gevent.event import AsyncResult

    results = [producer.publish(topic, b"x", raise_error=False) for _ in range(10)]
    assert all(isinstance(result, AsyncResult) for result in results)
    seen: list[Any] = []
    results[0].rawlink(seen.append)
    assert len(gevent.joinall(results, timeout=30)) == 10
    assert {result.get() for result in results} == {b"OK"}
    gevent.sleep(0)
    assert seen == results[:1]
    # As any AsyncResult, it takes over what another source has: linked to a greenlet, say.
    linked = AsyncResult()
    results[1].rawlink(linked)
    assert linked.get(timeout=30) == b"OK"


@pytest.mark.parametrize("raise_error", [True, False])
def test_too_much_outstanding_is_refused_without_block(
    nsqd: Any, server_kind: str, topic: str, raise_error: bool
) -> None:
    if server_kind != "real":
        pytest.skip("only a process can be stopped")
    producer = gnsq.Producer(nsqd.tcp_address)
    producer.max_outstanding = 10
    with producer:
        producer.publish(topic, b"x")
        nsqd.pause()
        results = [producer.publish(topic, b"x", raise_error=False) for _ in range(10)]
        for wait in ({"block": False}, {"timeout": 0.01}):
            with pytest.raises(NSQException, match="outstanding"):
                producer.publish(topic, b"x", raise_error=raise_error, **wait)
        nsqd.resume()
        assert {result.get(timeout=30) for result in results} == {b"OK"}
        assert producer.publish(topic, b"x", block=False) == b"OK"


def test_bytes_are_bounded_too(nsqd: Nsqd, topic: str) -> None:
    producer = gnsq.Producer(nsqd.tcp_address)
    producer.max_outstanding_bytes = 1000
    with producer:
        results = [producer.publish(topic, b"x" * 5000, raise_error=False) for _ in range(50)]
        assert {result.get(timeout=30) for result in results} == {b"OK"}
