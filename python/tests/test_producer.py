"""Publishing through `gnsq.Producer`: what is returned, what is refused, and what nsqd has in the end."""

from __future__ import annotations

import array
import json
import pickle
import sys
from typing import Any, Callable

import pytest
from support import mode
from support.servers import Nsqd

import gnsq
from gnsq.errors import NSQBadBody, NSQBadMessage, NSQException, NSQInvalid, NSQNoConnections

Eventually = Callable[..., Any]
Spawn = Callable[..., Any]


def depth(nsqd: Nsqd, topic: str) -> int:
    """How many messages the topic has been given."""
    return int(nsqd.stats(topic).get("message_count", 0))


def nobody() -> str:
    """An address where nobody listens."""
    return "127.0.0.1:1"


def test_a_publish_is_confirmed(nsqd: Nsqd, topic: str) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:
        assert producer.publish(topic, b"one") == b"OK"
        assert producer.multipublish(topic, [b"two", b"three"]) == b"OK"
    assert depth(nsqd, topic) == 3


@pytest.mark.parametrize(
    "data",
    [b"x", "x", bytearray(b"x"), memoryview(b"xyz")[:1], array.array("B", [120])],
    ids=lambda data: type(data).__name__,
)
def test_data_is_bytes_like_or_str(nsqd: Nsqd, topic: str, data: Any) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:
        assert producer.publish(topic, data) == b"OK"
        assert producer.multipublish(topic, (data for _ in range(3))) == b"OK"
    assert nsqd.stats(topic)["message_bytes"] == 4


def test_bodies_need_not_be_utf_8(nsqd: Nsqd, topic: str) -> None:
    bodies = [bytes([byte]) * 3 for byte in range(256)]
    with gnsq.Producer(nsqd.tcp_address) as producer:
        assert producer.multipublish(topic, bodies) == b"OK"
        assert producer.publish(topic, b"\xff\xfe\x00") == b"OK"
        assert producer.publish(topic, "h\u00e9llo \U0001f37b") == b"OK"
    assert nsqd.stats(topic)["message_bytes"] == 256 * 3 + 3 + 11


@pytest.mark.parametrize("data", [None, 3, 3.5, ["x"], object()], ids=repr)
def test_data_of_another_type_is_refused(nsqd: Nsqd, topic: str, data: Any) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:
        with pytest.raises(TypeError):
            producer.publish(topic, data)
        with pytest.raises(TypeError):
            producer.multipublish(topic, [b"x", data])
        assert producer.publish(topic, b"x") == b"OK"


@pytest.mark.parametrize("messages", [b"bytes", "text", 5, None], ids=repr)
def test_several_messages_have_to_be_several(nsqd: Nsqd, topic: str, messages: Any) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer, pytest.raises(TypeError):
        producer.multipublish(topic, messages)


@pytest.mark.parametrize("raise_error", [True, False])
def test_what_nsqd_would_refuse_is_refused_before_and_the_connection_lives_on(
    nsqd: Nsqd, topic: str, raise_error: bool
) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:
        producer.publish(topic, b"x")
        for bad in (b"", b"x" * (1024 * 1024 + 1)):
            with pytest.raises(NSQBadMessage):
                producer.publish(topic, bad, raise_error=raise_error)
            with pytest.raises(NSQBadMessage):
                producer.multipublish(topic, [b"x", bad], raise_error=raise_error)
        with pytest.raises(NSQBadBody):
            producer.multipublish(topic, [], raise_error=raise_error)
        with pytest.raises(NSQBadBody):
            producer.multipublish(topic, [b"x" * (1024 * 1024)] * 6, raise_error=raise_error)
        with pytest.raises(NSQInvalid):
            producer.publish(topic, b"x", defer=3_600_001, raise_error=raise_error)
        for name in ("", "no spaces", "x" * 65, "what?"):
            with pytest.raises(ValueError, match="topic"):
                producer.publish(name, b"x", raise_error=raise_error)
        with pytest.raises(TypeError):
            producer.publish(3, b"x", raise_error=raise_error)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="defer"):
            producer.publish(topic, b"x", defer=-1, raise_error=raise_error)
        producer.publish(topic, b"x")
        (client,) = nsqd.request("/stats?format=json")["producers"]
        assert client["pub_counts"][0]["count"] == 2


def test_a_larger_limit_can_be_set(make_nsqd: Callable[..., Nsqd], topic: str) -> None:
    nsqd = make_nsqd(max_msg_size=4 << 20)
    producer = gnsq.Producer(nsqd.tcp_address)
    producer.max_msg_size = 4 << 20
    with producer:
        assert producer.publish(topic, b"x" * (4 << 20)) == b"OK"
        with pytest.raises(NSQBadMessage):
            producer.publish(topic, b"x" * (4 << 20) + b"x")


def test_a_deferred_message_is_held_back(nsqd: Nsqd, topic: str, eventually: Eventually) -> None:
    nsqd.create(topic, "c")
    with gnsq.Producer(nsqd.tcp_address) as producer:
        assert producer.publish(topic, b"x", defer=600_000) == b"OK"
        assert producer.publish(topic, b"x", 600_000.0) == b"OK"
        assert producer.publish(topic, b"x", defer=0) == b"OK"
    eventually(lambda: nsqd.stats(topic, "c")["deferred_count"] == 2)
    eventually(lambda: nsqd.stats(topic, "c")["depth"] == 1)


def test_connections_are_used_in_turn(make_nsqd: Callable[..., Nsqd], topic: str) -> None:
    nsqds = [make_nsqd() for _ in range(3)]
    with gnsq.Producer({nsqd.tcp_address for nsqd in nsqds}) as producer:
        for _ in range(30):
            producer.publish(topic, b"x")
    assert [depth(nsqd, topic) for nsqd in nsqds] == [10, 10, 10]


def test_ipv6_addresses_work(make_nsqd: Callable[..., Nsqd], topic: str) -> None:
    nsqd = make_nsqd(host="::1")
    with gnsq.Producer(f"[::1]:{nsqd.tcp_port}") as producer:
        assert producer.publish(topic, b"x") == b"OK"
    assert producer.nsqd_tcp_addresses == {f"[::1]:{nsqd.tcp_port}"}


def test_addresses_are_normalized() -> None:
    assert gnsq.Producer("a").nsqd_tcp_addresses == {"a:4150"}
    for several in (["a", "b:1"], {"a", "b:1"}, ("a:4150", "b:1", "a")):
        assert gnsq.Producer(several).nsqd_tcp_addresses == {"a:4150", "b:1"}


@pytest.mark.parametrize("bad", [[], "", "a:b", "a:70000", ["a", "b:-1"], "a:0"], ids=repr)
def test_bad_addresses_and_none_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"address|nsqd"):
        gnsq.Producer(bad)


@pytest.mark.parametrize("bad", [3, None, [3], {"a": 1}, object()], ids=repr)
def test_addresses_of_another_type_are_refused(bad: Any) -> None:
    with pytest.raises(TypeError):
        gnsq.Producer(bad)


def test_no_address_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="nsqd"):
        gnsq.Producer()


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="heartbeats"):
        gnsq.Producer("a", heartbeats=3)


def test_options_reach_nsqd(nsqd: Nsqd, topic: str) -> None:
    options = {"client_id": "me", "hostname": "me.example", "user_agent": "mine/1"}
    with gnsq.Producer([nsqd.tcp_address], 16, **options) as producer:
        producer.publish(topic, b"x")
        (client,) = nsqd.request("/stats?format=json")["producers"]
    assert {name: client[name] for name in options} == options


def test_what_is_not_running_publishes_nothing(nsqd: Nsqd, topic: str) -> None:
    producer = gnsq.Producer(nsqd.tcp_address)
    assert not producer.is_running
    with pytest.raises(NSQException, match="start"):
        producer.publish(topic, b"x")
    producer.start()
    assert producer.is_running
    assert producer.publish(topic, b"x") == b"OK"
    producer.close()
    assert not producer.is_running
    for raise_error in (True, False):
        with pytest.raises(NSQException, match="closed"):
            producer.publish(topic, b"x", raise_error=raise_error)
        with pytest.raises(NSQException, match="closed"):
            producer.multipublish(topic, [b"x"], raise_error=raise_error)
    producer.join(timeout=30, raise_error=True)
    assert depth(nsqd, topic) == 1


def test_a_closed_producer_is_not_started_again(nsqd: Nsqd) -> None:
    producer = gnsq.Producer(nsqd.tcp_address)
    producer.start()
    producer.close()
    for _ in range(2):
        with pytest.raises(NSQException, match="closed"):
            producer.start()
    producer.close()
    producer.join(30, raise_error=True)
    unstarted = gnsq.Producer(nsqd.tcp_address)
    unstarted.close()
    unstarted.join(30, raise_error=True)
    with pytest.raises(NSQException, match="closed"):
        unstarted.start()


def test_a_second_start_warns(nsqd: Nsqd, topic: str) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:
        with pytest.warns(RuntimeWarning, match="running"):
            producer.start()
        assert producer.publish(topic, b"x") == b"OK"
        assert len(nsqd.request("/stats?format=json")["producers"]) == 1


def test_without_a_connection_a_publish_waits_as_it_is_told(topic: str) -> None:
    producer = gnsq.Producer(nobody())
    producer.start()
    for raise_error in (True, False):
        for wait in ({"block": False}, {"timeout": 0}, {"timeout": 0.05}, {"block": False, "timeout": 9}):
            with pytest.raises(NSQNoConnections, match="refused"):
                producer.publish(topic, b"x", raise_error=raise_error, **wait)
            with pytest.raises(NSQNoConnections, match="refused"):
                producer.multipublish(topic, [b"x"], raise_error=raise_error, **wait)
    producer.close()
    producer.join(30, raise_error=True)


def test_a_waiting_publish_ends_when_the_producer_is_closed(topic: str, spawn: Spawn, eventually: Eventually) -> None:
    producer = gnsq.Producer(nobody())
    producer.start()
    waiting = [spawn(producer.publish, topic, b"x") for _ in range(3)]
    assert not waiting[0].join(0.05)
    producer.close()
    for one in waiting:
        with pytest.raises(NSQException):
            one.result()
    producer.join(30, raise_error=True)


def test_a_blocked_publish_goes_out_when_nsqd_is_there(nsqd: Nsqd, topic: str, spawn: Spawn) -> None:
    nsqd.stop()
    with gnsq.Producer(nsqd.tcp_address, max_backoff_duration=0.2) as producer:
        waiting = [spawn(producer.publish, topic, b"x", None, True, None, way) for way in (True, False)]
        assert not waiting[0].join(0.1)
        nsqd.start()
        assert waiting[0].result() == b"OK"
        assert waiting[1].result().get(timeout=30) == b"OK"


def test_nsqd_may_go_and_come_back(nsqd: Nsqd, topic: str) -> None:
    with gnsq.Producer(nsqd.tcp_address, max_backoff_duration=0.2) as producer:
        for _ in range(3):
            assert producer.publish(topic, b"x") == b"OK"
            nsqd.kill()
            with pytest.raises(NSQException):
                producer.publish(topic, b"x", timeout=0.01)
            nsqd.start()
            assert producer.publish(topic, b"x", timeout=30) == b"OK"


def test_another_nsqd_can_be_added(make_nsqd: Callable[..., Nsqd], topic: str) -> None:
    first, second, third = make_nsqd(), make_nsqd(), make_nsqd()
    producer = gnsq.Producer(first.tcp_address)
    producer.connect_to_nsqd(second.host, second.tcp_port)
    with producer:
        producer.connect_to_nsqd(third.host, third.tcp_port)
        producer.connect_to_nsqd(third.host, third.tcp_port)
        for _ in range(9):
            producer.publish(topic, b"x")
    assert producer.nsqd_tcp_addresses == {one.tcp_address for one in (first, second, third)}
    assert [depth(one, topic) for one in (first, second, third)] == [3, 3, 3]
    with pytest.raises(NSQException, match="closed"):
        producer.connect_to_nsqd("a", 1)
    with pytest.raises(ValueError, match="port"):
        gnsq.Producer("a").connect_to_nsqd("a", 70_000)


def test_a_repr_shows_the_state(nsqd: Nsqd) -> None:
    producer = gnsq.Producer(nsqd.tcp_address, auth_secret="hidden")
    seen = [repr(producer)]
    with producer:
        seen.append(repr(producer))
    seen.append(repr(producer))
    assert [state in text for state, text in zip(("not started", "running, 1 connected", "closed"), seen)] == [True] * 3
    assert all(nsqd.tcp_address in text and "hidden" not in text for text in seen)


def test_it_can_be_subclassed(nsqd: Nsqd, topic: str) -> None:
    class Json(gnsq.Producer):
        def publish(self, topic: str, data: Any, *args: Any, **kwargs: Any) -> Any:
            return super().publish(topic, json.dumps(data), *args, **kwargs)

    with Json(nsqd.tcp_address) as producer:
        assert producer.publish(topic, {"a": 1}) == b"OK"
        assert "Json" in repr(producer)


def test_it_refuses_to_be_pickled(nsqd: Nsqd, topic: str) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:
        with pytest.raises(TypeError, match="Producer has connections"):
            pickle.dumps(producer)
        if not mode.IS_GEVENT:
            with pytest.raises(TypeError, match="outcome of a publish"):
                pickle.dumps(producer.publish(topic, b"x", raise_error=False))


def test_one_that_nobody_has_any_more_closes_its_connections(nsqd: Nsqd, topic: str, eventually: Eventually) -> None:
    producer = gnsq.Producer(nsqd.tcp_address)
    producer.on_response.connect(lambda sender, response: None, weak=False)
    producer.start()
    assert producer.publish(topic, b"x") == b"OK"
    assert len(nsqd.request("/stats?format=json")["producers"]) == 1
    assert sys.getrefcount(producer) == 2
    del producer
    eventually(lambda: not nsqd.request("/stats?format=json")["producers"])
