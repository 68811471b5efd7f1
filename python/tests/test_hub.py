"""No call holds up gevent's hub: the servers here are greenlets of the thread that calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import pytest
from support.handlers import Recorder

pytestmark = pytest.mark.modes("gevent", "patched")


@pytest.fixture
def fake() -> Iterator[Any]:
    """An nsqd in a greenlet, with three messages for whoever subscribes."""
    from support.fake_nsqd import FakeNsqd

    with FakeNsqd(b"one", b"two", b"three") as server:
        yield server


@contextmanager
def ticking(at_least: int) -> Iterator[None]:
    """Another greenlet runs on meanwhile."""
    import gevent

    ticks: list[int] = []

    def tick() -> None:
        while True:
            ticks.append(1)
            gevent.sleep(0.01)

    ticker = gevent.spawn(tick)
    try:
        yield
    finally:
        ticker.kill()
    assert len(ticks) >= at_least


def test_a_producer_yields_to_the_hub(fake: Any) -> None:
    import gnsq

    with gnsq.Producer(fake.address) as producer:
        assert producer.publish("topic", b"x") == b"OK"
        fake.delay = 0.5
        with ticking(at_least=20):
            assert producer.publish("topic", b"y") == b"OK"
            assert producer.multipublish("topic", [b"z"]) == b"OK"
    assert [body for line, body in fake.commands if line == b"PUB topic"] == [b"x", b"y"]


def test_results_are_those_of_gevent(fake: Any) -> None:
    import gevent
    import gevent.event

    import gnsq

    with gnsq.Producer(fake.address) as producer:
        results = [producer.publish("topic", b"%d" % number, raise_error=False) for number in range(20)]
        assert all(isinstance(result, gevent.event.AsyncResult) for result in results)
        linked: list[Any] = []
        results[0].rawlink(linked.append)
        assert len(gevent.wait(results, timeout=30)) == 20
        gevent.joinall(results, timeout=30)
        assert [result.get() for result in results] == [b"OK"] * 20
        gevent.sleep(0)
        assert linked == results[:1]


def test_a_publish_can_be_timed_out_by_gevent(fake: Any) -> None:
    import gevent

    import gnsq

    with gnsq.Producer(fake.address) as producer:
        producer.publish("topic", b"x")
        fake.delay = 1
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.1):
            producer.publish("topic", b"y")
        # The answer that comes later is nobody else's.
        fake.delay = 0
        assert producer.publish("topic", b"z") == b"OK"


def test_a_greenlet_that_publishes_can_be_killed(fake: Any) -> None:
    import gevent

    import gnsq

    with gnsq.Producer(fake.address) as producer:
        producer.publish("topic", b"x")
        fake.delay = 0.5
        greenlets = [gevent.spawn(producer.publish, "topic", b"y") for _ in range(5)]
        gevent.sleep(0.05)
        gevent.killall(greenlets, timeout=10)
        fake.delay = 0
        assert producer.publish("topic", b"z") == b"OK"


def test_a_consumer_yields_to_the_hub(fake: Any, eventually: Callable[..., Any]) -> None:
    import gnsq

    seen = Recorder()
    consumer = gnsq.Consumer("topic", "channel", fake.address, max_in_flight=10)
    consumer.on_message.connect(seen, weak=False)
    consumer.start(block=False)
    eventually(lambda: len(fake.lines(b"FIN")) == 3)
    assert seen.bodies == [b"one", b"two", b"three"]
    consumer.close()
    consumer.join(timeout=30)
    assert not consumer.is_running


def test_handlers_run_in_the_thread_that_started(fake: Any, eventually: Callable[..., Any]) -> None:
    import gevent

    import gnsq

    hubs: list[Any] = []
    consumer = gnsq.Consumer("topic", "channel", fake.address)
    consumer.on_message.connect(lambda *_args, **_kwargs: hubs.append(gevent.get_hub()), weak=False)
    consumer.start(block=False)
    eventually(lambda: len(hubs) == 3)
    assert set(hubs) == {gevent.get_hub()}
    consumer.close()
    consumer.join(timeout=30)


def test_a_blocking_start_lets_others_run(fake: Any) -> None:
    import gevent

    import gnsq

    consumer = gnsq.Consumer("topic", "channel", fake.address)
    seen = Recorder(then=lambda _message: gevent.sleep(0.1))
    consumer.on_message.connect(seen, weak=False)
    gevent.spawn_later(1, consumer.close)
    with ticking(at_least=50):
        consumer.start()
    assert seen.bodies == [b"one", b"two", b"three"]


def test_a_consumer_that_starts_in_a_greenlet_can_be_killed(fake: Any, eventually: Callable[..., Any]) -> None:
    import gevent

    import gnsq

    consumer = gnsq.Consumer("topic", "channel", fake.address)
    seen = Recorder()
    consumer.on_message.connect(seen, weak=False)
    greenlet = gevent.spawn(consumer.start)
    eventually(lambda: len(seen.messages) == 3)
    greenlet.kill(timeout=10)
    assert greenlet.dead
    consumer.close()
    consumer.join(timeout=30)


def test_a_connection_yields_to_the_hub(fake: Any) -> None:
    import gnsq

    fake.delay = 0.1
    with ticking(at_least=20):
        client = gnsq.NsqdTCPClient("127.0.0.1", fake.port)
        client.connect()
        client.identify()
        client.subscribe("topic", "channel")
        frames = [client.read_response() for _ in range(4)]
        client.close_stream()
    assert [data if isinstance(data, bytes) else data.body for _, data in frames] == [b"OK", b"one", b"two", b"three"]


def test_http_clients_yield_to_the_hub() -> None:
    from gevent.pywsgi import WSGIServer

    import gnsq

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        import gevent

        gevent.sleep(0.3)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"version": "1.3.0"}']

    with_server = WSGIServer(("127.0.0.1", 0), application, log=None)
    with_server.start()
    try:
        with ticking(at_least=20):
            for client in (gnsq.NsqdHTTPClient, gnsq.LookupdClient):
                assert client("127.0.0.1", with_server.server_port).info() == {"version": "1.3.0"}
    finally:
        with_server.stop(timeout=1)
