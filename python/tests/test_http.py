"""The clients of the HTTP APIs, against real and embedded servers."""

from __future__ import annotations

import errno
import socket
from typing import Any, Callable

import pytest
from support import mode
from support.servers import Nsqd, Nsqlookupd

from gnsq import errors
from gnsq._nsqd_http import NsqdHTTPClient
from gnsq.lookupd import Lookupd, LookupdClient


@pytest.fixture
def client(nsqd: Nsqd) -> NsqdHTTPClient:
    return NsqdHTTPClient.from_url(nsqd.http_address)


@pytest.fixture
def lookupd(nsqlookupd: Nsqlookupd) -> LookupdClient:
    return LookupdClient.from_url(nsqlookupd.http_address)


def depth(client: NsqdHTTPClient, topic: str) -> int:
    return int(client.stats(topic)["topics"][0]["depth"])


def channel_stats(client: NsqdHTTPClient, topic: str, channel: str) -> dict[str, Any]:
    stats: dict[str, Any] = client.stats(topic, channel)["topics"][0]["channels"][0]
    return stats


def test_a_message_is_published(client: NsqdHTTPClient, topic: str) -> None:
    for data in (b"bytes", "é", bytearray(b"array"), memoryview(b"view"), b"\x00\xff\n"):
        assert client.publish(topic, data) == b"OK"
    stats = client.stats(topic)["topics"][0]
    assert stats["message_count"] == 5
    assert stats["message_bytes"] == 5 + 2 + 5 + 4 + 3


def test_a_deferred_message_waits(client: NsqdHTTPClient, topic: str) -> None:
    client.create_topic(topic)
    client.create_channel(topic, "c")
    assert client.publish(topic, b"later", defer=60_000) == b"OK"
    assert client.publish(topic, b"now", defer=0) == b"OK"
    with pytest.raises(errors.NSQHttpError, match=r"^INVALID_DEFER 400$"):
        client.publish(topic, b"never", defer=-1)


def test_messages_are_published_with_one_request(client: NsqdHTTPClient, topic: str) -> None:
    assert client.multipublish(topic, [b"one", "zwei", bytearray(b"drei")]) == b"OK"
    assert depth(client, topic) == 3
    assert client.multipublish(topic, (message for message in [b"a\nb", b"\x00"]), binary=True) == b"OK"
    assert depth(client, topic) == 5


def test_a_newline_needs_binary(client: NsqdHTTPClient, topic: str) -> None:
    for message in (b"a\nb", "a\nb", ""):
        with pytest.raises(errors.NSQException, match="message 1"):
            client.multipublish(topic, [b"a", message])
    assert client.stats(topic)["topics"] in ([], None)


def test_what_is_no_data_is_refused(client: NsqdHTTPClient, topic: str) -> None:
    for data in (5, None, ["a"]):
        with pytest.raises(TypeError, match=type(data).__name__):
            client.publish(topic, data)  # type: ignore[arg-type]
    for messages in ("text", b"bytes"):
        with pytest.raises(TypeError, match="several"):
            client.multipublish(topic, messages)  # type: ignore[arg-type]


def test_topics_are_administered(client: NsqdHTTPClient, topic: str) -> None:
    def paused() -> bool:
        return bool(client.stats(topic)["topics"][0]["paused"])

    assert client.create_topic(topic) == b""
    client.publish(topic, b"tea")
    assert client.pause_topic(topic) == b""
    assert paused()
    assert client.unpause_topic(topic) == b""
    assert not paused()
    assert depth(client, topic) == 1
    assert client.empty_topic(topic) == b""
    assert depth(client, topic) == 0
    assert client.delete_topic(topic) == b""
    assert client.stats(topic)["topics"] in ([], None)


def test_channels_are_administered(client: NsqdHTTPClient, topic: str, eventually: Callable[..., object]) -> None:
    client.create_topic(topic)
    assert client.create_channel(topic, "c") == b""
    assert client.pause_channel(topic, "c") == b""
    assert channel_stats(client, topic, "c")["paused"]
    assert client.unpause_channel(topic, "c") == b""
    assert not channel_stats(client, topic, "c")["paused"]
    client.publish(topic, b"tea")
    eventually(lambda: channel_stats(client, topic, "c")["depth"] == 1)
    assert client.empty_channel(topic, "c") == b""
    assert channel_stats(client, topic, "c")["depth"] == 0
    assert client.delete_channel(topic, "c") == b""
    assert client.stats(topic)["topics"][0]["channels"] == []


def test_stats_are_of_all_of_a_topic_or_of_a_channel(client: NsqdHTTPClient, topic: str) -> None:
    for name in (topic, f"{topic}-2"):
        client.create_topic(name)
        client.create_channel(name, "c")
        client.create_channel(name, "d")
    assert len(client.stats()["topics"]) == 2
    (only,) = client.stats(topic=topic)["topics"]
    assert [channel["channel_name"] for channel in only["channels"]] == ["c", "d"]
    (only,) = client.stats(topic, "d")["topics"]
    assert [channel["channel_name"] for channel in only["channels"]] == ["d"]
    text = client.stats(topic, text=True)
    assert isinstance(text, bytes)
    assert topic.encode() in text


def test_both_servers_tell_of_themselves(client: NsqdHTTPClient, lookupd: LookupdClient) -> None:
    assert client.ping() == lookupd.ping() == b"OK"
    assert client.info()["tcp_port"] > 0
    assert lookupd.info() == {"version": "1.3.0"}


def test_nsqlookupd_knows_who_has_what(
    make_nsqd: Callable[..., Nsqd],
    nsqlookupd: Nsqlookupd,
    lookupd: LookupdClient,
    topic: str,
    eventually: Callable[..., object],
) -> None:
    nsqd = make_nsqd(lookupds=[nsqlookupd])
    client = NsqdHTTPClient.from_url(nsqd.http_address)
    client.create_topic(topic)
    client.create_channel(topic, "c")
    eventually(lambda: lookupd.channels(topic) == {"channels": ["c"]})
    assert lookupd.topics() == {"topics": [topic]}
    (producer,) = lookupd.lookup(topic)["producers"]
    assert producer["tcp_port"] == nsqd.tcp_port
    (node,) = lookupd.nodes()["producers"]
    assert node["topics"] == [topic]

    where = f"{producer['broadcast_address']}:{producer['http_port']}"
    assert lookupd.tombstone_topic(topic, where) == b""
    assert lookupd.lookup(topic)["producers"] == []
    (node,) = lookupd.nodes()["producers"]
    assert node["tombstones"] == [True]


def test_nsqlookupd_takes_topics_and_channels(lookupd: LookupdClient, topic: str) -> None:
    with pytest.raises(errors.NSQHttpError, match=r"^TOPIC_NOT_FOUND 404$"):
        lookupd.lookup(topic)
    assert lookupd.create_topic(topic) == b""
    assert lookupd.lookup(topic) == {"channels": [], "producers": []}
    assert lookupd.create_channel(topic, "c") == b""
    assert lookupd.channels(topic) == {"channels": ["c"]}
    assert lookupd.delete_channel(topic, "c") == b""
    assert lookupd.channels(topic) == {"channels": []}
    assert lookupd.delete_topic(topic) == b""
    assert lookupd.topics() == {"topics": []}


def test_any_status_but_200_is_an_error(client: NsqdHTTPClient, topic: str) -> None:
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: client.delete_topic(topic), "TOPIC_NOT_FOUND 404"),
        (lambda: client.create_channel(topic, "c"), "TOPIC_NOT_FOUND 404"),
        (lambda: client.publish(topic, b""), "MSG_EMPTY 400"),
        (lambda: client.publish(topic, bytes(1024 * 1024 + 1)), "MSG_TOO_BIG 413"),
    ]
    for call, text in calls:
        with pytest.raises(errors.NSQHttpError) as refused:
            call()
        assert str(refused.value) == text
        assert isinstance(refused.value, errors.NSQException)


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = NsqdHTTPClient("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(errors.NSQSocketError, match=client.address) as refused:
            client.ping()
    assert isinstance(refused.value, OSError)
    assert refused.value.errno == errno.ECONNREFUSED


def test_a_stopped_server_is_found_again(nsqd: Nsqd, client: NsqdHTTPClient) -> None:
    assert client.ping() == b"OK"
    nsqd.stop()
    with pytest.raises(errors.NSQSocketError):
        client.ping()
    nsqd.start()
    assert client.ping() == b"OK"


def test_many_callers_share_a_client(
    client: NsqdHTTPClient, topic: str, spawn: Callable[..., Any], eventually: Callable[..., object]
) -> None:
    def publish(count: int) -> None:
        for _ in range(count):
            client.publish(topic, b"tea")

    callers = [spawn(publish, 10) for _ in range(200 if mode.IS_GEVENT else 20)]
    for caller in callers:
        caller.result(120)
    assert depth(client, topic) == 10 * len(callers)


def test_the_deprecated_lookupd_works_and_warns(nsqlookupd: Nsqlookupd, topic: str) -> None:
    with pytest.warns(DeprecationWarning, match="LookupdClient") as warned:
        lookupd = Lookupd(f"{nsqlookupd.http_address}/")
    assert warned[0].filename == __file__
    assert lookupd.base_url == f"{nsqlookupd.http_address}/"
    assert isinstance(lookupd, LookupdClient)
    lookupd.create_topic(topic)
    assert lookupd.tombstone_topic_producer(topic, "host:4151") == b""
    with pytest.warns(DeprecationWarning):
        assert Lookupd().base_url == "http://localhost:4161/"
    with pytest.warns(DeprecationWarning):
        assert Lookupd.from_url("https://host:1").base_url == "https://host:1/"


def test_servers_on_ipv6_are_reached() -> None:
    from gnsq.testing import Nsqd as Embedded

    with Embedded(host="::1") as nsqd:
        for host in ("::1", "[::1]"):
            client = NsqdHTTPClient(host, nsqd.http_port)
            assert client.address == f"http://[::1]:{nsqd.http_port}/"
            assert client.ping() == b"OK"
        assert NsqdHTTPClient.from_url(nsqd.http_address).ping() == b"OK"
