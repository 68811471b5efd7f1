"""How a consumer is made, started and closed."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from typing import Any, Callable

import psutil
import pytest
from support.servers import Nsqd, Nsqlookupd
from support.waiting import eventually, pause
from test_consumer_handling import channel, consuming, is_done

from gnsq.consumer import Consumer
from gnsq.errors import NSQException
from gnsq.lookupd import LookupdClient


def ignore(_: Consumer, message: Any) -> None:
    """A handler."""


def test_it_needs_an_address() -> None:
    with pytest.raises(ValueError, match="nsqd_tcp_addresses"):
        Consumer("t", "c")
    for addresses in ((None, "localhost"), ("localhost", None)):
        with pytest.raises(TypeError):
            Consumer("t", "c", *addresses)  # type: ignore[arg-type]


def test_it_takes_addresses_in_every_form() -> None:
    assert Consumer("t", "c", "host").nsqd_tcp_addresses == {"host:4150"}
    for several in (["a", "b:1"], ("a", "b:1"), {"a", "b:1"}):
        assert Consumer("t", "c", several).nsqd_tcp_addresses == {"a:4150", "b:1"}
    (lookupd,) = Consumer("t", "c", lookupd_http_addresses="http://host:4161").lookupds
    assert isinstance(lookupd, LookupdClient)
    assert lookupd.address == "http://host:4161/"


def test_its_options_have_the_defaults_of_the_contract() -> None:
    consumer = Consumer("t", "c", "host")
    expected = {
        "topic": "t",
        "channel": "c",
        "name": "gnsq.consumer.t.c",
        "max_tries": 5,
        "max_in_flight": 1,
        "requeue_delay": 0,
        "lookupd_poll_interval": 60,
        "lookupd_poll_jitter": 0.3,
        "low_ready_idle_timeout": 10,
        "max_backoff_duration": 128,
        "backoff_on_requeue": True,
        "lookupds": [],
        "is_running": False,
        "is_starved": False,
        "total_in_flight": 0,
        "total_ready_count": 0,
    }
    assert {name: getattr(consumer, name) for name in expected} == expected
    assert consumer.logger.name == "gnsq.consumer.t.c"
    assert Consumer("t", "c", "host", name="mine").logger.name == "mine"


def test_it_refuses_unknown_options() -> None:
    with pytest.raises(TypeError, match="no_such"):
        Consumer("t", "c", "host", no_such=1)


def test_bad_names_are_told_at_the_start() -> None:
    consumer = Consumer("no topic", "c", "host", message_handler=ignore)
    with pytest.raises(ValueError):
        consumer.start(block=False)
    assert not consumer.is_running


def test_nobody_to_handle_messages_is_an_error(nsqd: Nsqd, topic: str) -> None:
    consumer = Consumer(topic, "ch", nsqd.tcp_address)
    with pytest.raises(RuntimeError, match="on_message"):
        consumer.start()
    consumer.on_message.connect(ignore)
    consumer.start(block=False)
    assert consumer.is_running
    consumer.close()
    consumer.join(30)


def test_start_blocks_until_it_is_closed(nsqd: Nsqd, topic: str, spawn: Callable[..., Any]) -> None:
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=ignore)
    starting = spawn(consumer.start)
    eventually(lambda: consumer.is_running)
    eventually(lambda: channel(nsqd, topic)["clients"])
    assert not starting.ended
    consumer.close()
    assert starting.join(30)
    assert starting.result() is None
    eventually(lambda: not channel(nsqd, topic)["clients"])


def test_a_second_start_warns_and_blocks_if_asked(
    nsqd: Nsqd, topic: str, spawn: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with consuming(nsqd, topic, ignore) as consumer:
        with pytest.warns(RuntimeWarning, match="before"):
            consumer.start(block=False)
        assert "started before" in caplog.text

        def again() -> None:
            with pytest.warns(RuntimeWarning, match="before"):
                consumer.start()

        blocked = spawn(again)
        pause(0.1)
        assert not blocked.ended
        consumer.close()
        blocked.result()


def test_on_close_is_sent_once(nsqd: Nsqd, topic: str) -> None:
    closed: list[Any] = []
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=ignore)
    consumer.on_close.connect(closed.append, weak=False)
    consumer.start(block=False)
    consumer.close()
    consumer.close()
    consumer.join(30)
    consumer.join(30)
    assert closed == [consumer]


def test_join_gives_up_after_its_timeout(nsqd: Nsqd, topic: str) -> None:
    with consuming(nsqd, topic, ignore) as consumer:
        before = time.monotonic()
        consumer.join(timeout=0.2)
        assert time.monotonic() - before >= 0.19
        assert consumer.is_running


def test_close_and_join_may_be_called_where_nothing_runs() -> None:
    consumer = Consumer("t", "c", "host", message_handler=ignore)
    consumer.join()
    consumer.close()
    consumer.join()


def test_a_handler_may_close_and_join(nsqd: Nsqd, topic: str) -> None:
    took: list[float] = []

    def handler(consumer: Consumer, message: Any) -> None:
        began = time.monotonic()
        consumer.close()
        consumer.join()
        took.append(time.monotonic() - began)

    nsqd.publish(topic, b"x")
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=handler)
    consumer.start()
    eventually(lambda: took)
    assert took[0] < 4
    eventually(lambda: channel(nsqd, topic)["depth"] == 1)


def test_a_receiver_of_on_close_may_join(nsqd: Nsqd, topic: str) -> None:
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=ignore)
    consumer.on_close.connect(lambda consumer: consumer.join(), weak=False)
    consumer.start(block=False)
    consumer.close()
    consumer.join(30)
    assert consumer._ended.done()


def test_a_message_whose_consumer_was_closed_meanwhile_is_not_finished(nsqd: Nsqd, topic: str) -> None:
    kept: list[Any] = []

    def handler(consumer: Consumer, message: Any) -> None:
        kept.append(message)
        consumer.close()

    nsqd.publish(topic, b"x", b"y")
    began = time.monotonic()
    Consumer(topic, "ch", nsqd.tcp_address, message_handler=handler, max_in_flight=2).start()
    assert time.monotonic() - began < 4
    (message,) = kept
    assert not message.has_responded()
    with pytest.raises(NSQException):
        message.finish()
    stats = eventually(lambda: channel(nsqd, topic)["depth"] == 2 and channel(nsqd, topic))
    assert (stats["in_flight_count"], stats["message_count"]) == (0, 2)
    attempts: dict[bytes, int] = {}
    with consuming(nsqd, topic, lambda _, message: attempts.update({message.body: message.attempts})):
        eventually(lambda: is_done(nsqd, topic, 2))
    # It was not sent once more before the connection was closed.
    assert attempts[b"x"] == 2


def test_a_handler_that_hangs_does_not_keep_it_open(nsqd: Nsqd, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnsq._consuming._SHUTDOWN_TIMEOUT", 0.3)
    goes_on = threading.Event()
    entered: list[Any] = []

    def handler(_: Consumer, message: Any) -> None:
        entered.append(message)
        while not goes_on.is_set():
            pause(0.01)

    nsqd.publish(topic, b"x")
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=handler)
    consumer.start(block=False)
    try:
        eventually(lambda: entered)
        consumer.close()
        consumer.join(30)
        assert consumer._ended.done()
        eventually(lambda: channel(nsqd, topic)["depth"] == 1)
    finally:
        goes_on.set()


def test_a_handler_that_runs_may_still_answer(nsqd: Nsqd, topic: str) -> None:
    entered: list[Any] = []

    def handler(consumer: Consumer, message: Any) -> None:
        entered.append(message)
        eventually(lambda: not consumer.is_running)
        pause(0.1)
        message.finish()

    nsqd.publish(topic, b"x")
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=handler)
    consumer.start(block=False)
    eventually(lambda: entered)
    consumer.close()
    consumer.join(30)
    assert is_done(nsqd, topic, 1)


def test_it_can_be_used_in_a_with_statement(nsqd: Nsqd, topic: str) -> None:
    with Consumer(topic, "ch", nsqd.tcp_address, message_handler=ignore) as consumer:
        consumer.start(block=False)
        assert consumer.is_running
    assert not consumer.is_running
    assert consumer._ended.done()


def test_it_goes_on_when_the_program_has_let_go_of_it(nsqd: Nsqd, topic: str) -> None:
    bodies: list[bytes] = []
    consumer = Consumer(topic, "ch", nsqd.tcp_address)
    consumer.on_message.connect(lambda _, message: bodies.append(message.body), weak=False)
    consumer.start(block=False)
    gone = weakref.ref(consumer)
    del consumer
    gc.collect()
    nsqd.publish(topic, b"x")
    eventually(lambda: is_done(nsqd, topic, 1))
    assert bodies == [b"x"]
    running = gone()
    assert running is not None
    running.close()
    running.join(30)
    del running
    # Its workers have let go when they have ended.
    eventually(lambda: gc.collect() >= 0 and gone() is None)


def test_a_subclass_may_have_more(nsqd: Nsqd, topic: str) -> None:
    class Orders(Consumer):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.bodies: list[bytes] = []
            self.on_message.connect(Orders.handle)

        def handle(self, message: Any) -> None:
            self.bodies.append(message.body)

    nsqd.publish(topic, b"x")
    orders = Orders(topic, "ch", nsqd.tcp_address)
    orders.start(block=False)
    eventually(lambda: is_done(nsqd, topic, 1))
    orders.close()
    orders.join(30)
    assert orders.bodies == [b"x"]


def test_it_refuses_to_be_pickled() -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(Consumer("t", "c", "host"))


def test_its_repr_shows_its_state(nsqd: Nsqd, topic: str) -> None:
    consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=ignore)
    assert repr(consumer) == f"<gnsq.consumer.Consumer '{topic}' 'ch' not started>"
    consumer.start(block=False)
    assert "running" in repr(consumer)
    consumer.close()
    consumer.join(30)
    assert "closed" in repr(consumer)


def test_no_secret_is_in_its_repr() -> None:
    assert "sesame" not in repr(Consumer("t", "c", "host", auth_secret="sesame"))


def test_it_finds_nsqds_through_nsqlookupd(make_nsqd: Callable[..., Nsqd], nsqlookupd: Nsqlookupd, topic: str) -> None:
    first = make_nsqd(lookupds=[nsqlookupd])
    first.publish(topic, b"first")
    bodies: list[bytes] = []
    consumer = Consumer(topic, "ch", lookupd_http_addresses=nsqlookupd.http_address, max_in_flight=2)
    consumer.on_message.connect(lambda _, message: bodies.append(message.body), weak=False)
    consumer.start(block=False)
    eventually(lambda: bodies == [b"first"])
    second = make_nsqd(lookupds=[nsqlookupd])
    second.publish(topic, b"second")
    eventually(lambda: len(nsqlookupd.request(f"/lookup?topic={topic}")["producers"]) == 2)
    # The interval is a minute.
    consumer.query_lookupd()
    eventually(lambda: bodies == [b"first", b"second"], timeout=20)
    consumer.close()
    consumer.join(30)


def test_an_nsqd_may_be_added(make_nsqd: Callable[..., Nsqd], topic: str) -> None:
    first, second = make_nsqd(), make_nsqd()
    with consuming(first, topic, ignore, max_in_flight=2) as consumer:
        second.publish(topic, b"x")
        consumer.connect_to_nsqd(second.host, second.tcp_port)
        eventually(lambda: is_done(second, topic, 1))
        assert consumer.nsqd_tcp_addresses == {first.tcp_address, second.tcp_address}
        consumer.query_nsqd()


def test_an_nsqd_that_comes_back_is_connected_to_again(nsqd: Nsqd, topic: str) -> None:
    bodies: list[bytes] = []
    with consuming(nsqd, topic, lambda _, message: bodies.append(message.body)):
        nsqd.publish(topic, b"before")
        eventually(lambda: bodies == [b"before"])
        nsqd.stop()
        nsqd.start()
        nsqd.publish(topic, b"after")
        eventually(lambda: b"after" in bodies)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_the_child_of_a_fork_is_told_that_it_is_not_its_own(nsqd: Nsqd, topic: str) -> None:
    kept: list[Any] = []

    def handler(_: Consumer, message: Any) -> None:
        message.enable_async()
        kept.append(message)

    nsqd.publish(topic, b"x")
    with consuming(nsqd, topic, handler) as consumer:
        eventually(lambda: kept)
        pid = os.fork()
        if pid == 0:
            failures = 0
            for call in (consumer.close, consumer.join, consumer.query_nsqd, kept[0].finish):
                try:
                    call()
                except NSQException:
                    failures += 1
            kept.clear()
            gc.collect()
            os._exit(failures)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
        kept[0].finish()
        eventually(lambda: is_done(nsqd, topic, 1))


@pytest.mark.parametrize("how", ["threads", "gevent", "patched"])
def test_the_exit_of_the_interpreter_gives_everything_back(nsqd: Nsqd, topic: str, how: str) -> None:
    nsqd.publish(topic, *[b"x"] * 10)
    program = textwrap.dedent(
        f"""
        import sys, time
        how = {how!r}
        if how == "gevent":
            import gevent
        if how == "patched":
            from gevent import monkey; monkey.patch_all()
        import gnsq.consumer
        seen = []
        def handler(consumer, message):
            message.enable_async()
            seen.append(message)
        consumer = gnsq.consumer.Consumer({topic!r}, "ch", {nsqd.tcp_address!r}, max_in_flight=5)
        consumer.on_message.connect(handler)
        consumer.start(block=False)
        while len(seen) < 5:
            gevent.sleep(0.01) if how == "gevent" else time.sleep(0.01)
        print("bye")
        """
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"bye\n", b"")
    eventually(lambda: channel(nsqd, topic)["depth"] == 10)


def test_many_that_come_and_go_leave_nothing(nsqd: Nsqd, topic: str) -> None:
    me = psutil.Process()

    def cycle() -> None:
        consumer = Consumer(topic, "ch", nsqd.tcp_address, message_handler=ignore)
        consumer.start(block=False)
        consumer.close()
        consumer.join(30)
        assert consumer._ended.done()

    for _ in range(20):
        cycle()
    threads, fds = me.num_threads(), me.num_fds()
    for _ in range(200):
        cycle()
    eventually(lambda: me.num_threads() <= threads + 1)
    eventually(lambda: me.num_fds() <= fds + 2)


def test_idle_consumers_share_their_threads(nsqd: Nsqd, topic: str) -> None:
    before = psutil.Process().num_threads()
    consumers = [Consumer(topic, f"ch{n}", nsqd.tcp_address, message_handler=ignore) for n in range(30)]
    for consumer in consumers:
        consumer.start(block=False)
    eventually(lambda: len(nsqd.stats(topic).get("channels", [])) == 30)
    assert psutil.Process().num_threads() <= before + 3
    for consumer in consumers:
        consumer.close()
    for consumer in consumers:
        consumer.join(30)
