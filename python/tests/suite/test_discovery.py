"""nsqds that are found by nsqlookupd."""

from __future__ import annotations

from typing import Any, Callable

from support.handlers import Recorder
from support.servers import Nsqd, Nsqlookupd

Eventually = Callable[..., Any]
Make = Callable[..., Any]


def test_a_consumer_finds_the_nsqds_of_its_topic(
    api: Any, nsqlookupd: Nsqlookupd, make_nsqd: Callable[..., Nsqd], topic: str, eventually: Eventually
) -> None:
    nsqds = [make_nsqd(lookupds=[nsqlookupd]) for _ in range(2)]
    for one in nsqds:
        one.publish(topic, one.tcp_address.encode())
    eventually(lambda: len(nsqlookupd.request(f"/lookup?topic={topic}")["producers"]) == 2)
    seen = Recorder()
    consumer = api.Consumer(topic, "c", lookupd_http_addresses=nsqlookupd.http_address, max_in_flight=2)
    consumer.on_message.connect(seen, weak=False)
    consumer.start(block=False)
    eventually(lambda: sorted(seen.bodies) == sorted(one.tcp_address.encode() for one in nsqds))
    consumer.close()
    consumer.join(timeout=30)


def test_nsqds_that_come_later_are_found_by_the_next_poll(
    api: Any,
    make_nsqlookupd: Callable[..., Nsqlookupd],
    make_nsqd: Callable[..., Nsqd],
    topic: str,
    eventually: Eventually,
) -> None:
    lookupds = [make_nsqlookupd() for _ in range(2)]
    seen = Recorder()
    consumer = api.Consumer(
        topic,
        "c",
        lookupd_http_addresses=[one.http_address.split("//")[1] for one in lookupds],
        lookupd_poll_interval=0.2,
        lookupd_poll_jitter=0.1,
    )
    consumer.on_message.connect(seen, weak=False)
    consumer.start(block=False)
    first = make_nsqd(lookupds=[lookupds[0]])
    first.publish(topic, b"first")
    eventually(lambda: b"first" in seen.bodies)
    second = make_nsqd(lookupds=[lookupds[1]])
    second.publish(topic, b"second")
    eventually(lambda: b"second" in seen.bodies)
    consumer.close()
    consumer.join(timeout=30)


def test_an_nsqlookupd_that_is_down_delays_nobody(
    api: Any, make_nsqlookupd: Callable[..., Nsqlookupd], nsqd: Nsqd, topic: str, eventually: Eventually
) -> None:
    lookupd = make_nsqlookupd()
    lookupd.stop()
    seen = Recorder()
    consumer = api.Consumer(topic, "c", nsqd.tcp_address, lookupd.http_address, lookupd_poll_interval=0.2)
    consumer.on_message.connect(seen, weak=False)
    consumer.start(block=False)
    nsqd.publish(topic, b"x")
    eventually(lambda: seen.messages)
    consumer.close()
    consumer.join(timeout=30)
