"""The deprecated Nsqd: both clients of an nsqd in one."""

from __future__ import annotations

from typing import Any

import pytest
from support import mode
from support.peer import OK
from support.servers import Nsqd as Server

import gnsq
from gnsq import errors

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(mode.NAME == "asyncio", reason="asyncio has clients of its own"),
]


def made(server: Server, **options: Any) -> gnsq.Nsqd:
    with pytest.deprecated_call(match="NsqdTCPClient"):
        return gnsq.Nsqd(server.host, server.tcp_port, server.http_port, **options)


def test_it_publishes_over_http_until_it_is_connected(nsqd: Server, topic: str) -> None:
    both = made(nsqd)
    assert both.publish(topic, b"one") == b"OK"
    assert both.multipublish(topic, [b"t\nwo", "three"]) == b"OK"
    assert nsqd.stats(topic)["message_count"] == 3
    both.connect()
    assert both.publish(topic, b"four") is None
    assert both.read_response()[1] == OK
    assert both.multipublish(topic, [b"five", b"six"]) is None
    assert both.read_response()[1] == OK
    assert nsqd.stats(topic)["message_count"] == 6
    assert both.publish_http(topic, b"seven") == b"OK"
    assert both.multipublish_http(topic, [b"eight"]) == b"OK"
    both.publish_tcp(topic, b"nine", 10)
    assert both.read_response()[1] == OK
    both.multipublish_tcp(topic, [b"ten"])
    assert both.read_response()[1] == OK
    assert nsqd.stats(topic)["message_count"] == 10
    both.close_stream()
    with pytest.raises(errors.NSQSocketError):
        both.publish_tcp(topic, b"x")
    assert both.publish(topic, b"eleven", 10) == b"OK"


def test_it_has_the_attributes_of_both(nsqd: Server) -> None:
    both = made(nsqd, timeout=3, user_agent="me")
    assert isinstance(both, gnsq.NsqdTCPClient)
    assert (both.address, both.tcp_port, both.http_port) == (nsqd.host, nsqd.tcp_port, nsqd.http_port)
    assert both.base_url == f"{nsqd.http_address}/"
    assert (both.scheme, both.host, both.timeout, both.useragent) == ("http", nsqd.host, 3, "me")
    assert str(both) == nsqd.tcp_address
    assert both == gnsq.NsqdTCPClient(nsqd.host, nsqd.tcp_port)
    with pytest.deprecated_call():
        default = gnsq.Nsqd()
    assert (str(default), default.base_url) == ("127.0.0.1:4150", "http://127.0.0.1:4151/")
    with pytest.deprecated_call():
        assert gnsq.Nsqd.from_url("http://example:4161").base_url == "http://example:4161/"


def test_it_administers(nsqd: Server, topic: str) -> None:
    both = made(nsqd)
    assert both.ping() == b"OK"
    assert both.info()["tcp_port"] == nsqd.tcp_port
    both.create_topic(topic)
    both.create_channel(topic, "channel")
    both.pause_topic(topic)
    both.pause_channel(topic, "channel")
    found = both.stats(topic, "channel")["topics"][0]
    assert (found["paused"], found["channels"][0]["paused"]) == (True, True)
    both.unpause_channel(topic, "channel")
    both.empty_channel(topic, "channel")
    both.publish(topic, b"x")
    assert nsqd.stats(topic)["depth"] == 1
    both.empty_topic(topic)
    assert nsqd.stats(topic)["depth"] == 0
    both.unpause_topic(topic)
    assert topic.encode() in both.stats(topic, text=True)
    both.delete_channel(topic, "channel")
    both.delete_topic(topic)
    assert nsqd.stats(topic) == {}


def test_a_subclass_warns_at_its_construction_too() -> None:
    class Mine(gnsq.Nsqd):
        pass

    with pytest.deprecated_call():
        Mine("localhost")
