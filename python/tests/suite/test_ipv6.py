"""Addresses of IPv6."""

from __future__ import annotations

from typing import Any, Callable

from support.handlers import Recorder
from support.servers import Nsqd, Nsqlookupd

Eventually = Callable[..., Any]
Make = Callable[..., Any]


def test_messages_go_over_ipv6(
    make_nsqd: Callable[..., Nsqd], make_producer: Make, consume: Make, topic: str, eventually: Eventually
) -> None:
    nsqd = make_nsqd(host="::1")
    assert nsqd.tcp_address.startswith("[::1]:")
    seen = Recorder()
    make_producer(nsqd.tcp_address).publish(topic, b"six")
    consume(seen, addresses=[nsqd.tcp_address])
    eventually(lambda: seen.messages)


def test_an_nsqd_is_found_at_an_address_of_ipv6(
    api: Any,
    make_nsqlookupd: Callable[..., Nsqlookupd],
    make_nsqd: Callable[..., Nsqd],
    topic: str,
    eventually: Eventually,
) -> None:
    lookupd = make_nsqlookupd(host="::1")
    nsqd = make_nsqd(host="::1", lookupds=[lookupd])
    nsqd.publish(topic, b"six")
    eventually(lambda: lookupd.request(f"/lookup?topic={topic}")["producers"])
    seen = Recorder()
    consumer = api.Consumer(topic, "c", lookupd_http_addresses=lookupd.http_address)
    consumer.on_message.connect(seen, weak=False)
    consumer.start(block=False)
    eventually(lambda: seen.messages)
    consumer.close()
    consumer.join(timeout=30)
