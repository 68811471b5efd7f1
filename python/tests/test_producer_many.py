"""Many that publish through one producer at once."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable

import pytest
from support import mode
from support.servers import Nsqd

import gnsq
from gnsq.errors import NSQException

#: Greenlets are cheap.
WORKERS = 1000 if mode.IS_GEVENT else 100
EACH = 20

Spawn = Callable[..., Any]


def test_many_publish_at_once(nsqd: Nsqd, topic: str, spawn: Spawn) -> None:
    with gnsq.Producer(nsqd.tcp_address) as producer:

        def work(number: int) -> Counter[bytes]:
            return Counter(producer.publish(topic, f"{number} {step}") for step in range(EACH))

        workers = [spawn(work, number) for number in range(WORKERS)]
        assert sum((worker.result() for worker in workers), Counter()) == {b"OK": WORKERS * EACH}
    assert nsqd.stats(topic)["message_count"] == WORKERS * EACH


def test_nothing_is_lost_when_nsqd_is_restarted(nsqd: Nsqd, topic: str, spawn: Spawn, server_kind: str) -> None:
    if server_kind == "embedded":
        pytest.skip("it forgets everything at a restart")
    published = 0
    with gnsq.Producer(nsqd.tcp_address, max_backoff_duration=0.2) as producer:

        def work() -> tuple[int, int]:
            confirmed = failed = 0
            while confirmed < EACH:
                try:
                    producer.publish(topic, b"x", timeout=30)
                    confirmed += 1
                except NSQException:
                    failed += 1
            return confirmed, failed

        workers = [spawn(work) for _ in range(WORKERS // 5)]
        nsqd.stop()
        nsqd.start()
        counts = [worker.result() for worker in workers]
        published = sum(confirmed for confirmed, _ in counts)
        failed = sum(failures for _, failures in counts)
    # What has failed may have been stored nevertheless; what was confirmed has been. A restart counts from 0.
    stats = nsqd.stats(topic)
    assert published <= stats["depth"] <= published + failed


def test_a_lone_publish_and_those_behind_it_keep_their_order(nsqd: Nsqd, topic: str) -> None:
    nsqd.create(topic, "c")
    with gnsq.Producer(nsqd.tcp_address) as producer:
        for number in range(1000):
            # Nothing is outstanding behind one that was waited for. Now and then two such follow each other.
            producer.publish(topic, str(number), raise_error=number % 5 in (0, 1))
    assert _consumed(nsqd, topic, 1000) == list(range(1000))


def test_what_one_publishes_goes_out_in_order(nsqd: Nsqd, topic: str) -> None:
    nsqd.create(topic, "c")
    with gnsq.Producer(nsqd.tcp_address) as producer:
        results = [producer.publish(topic, str(number), raise_error=False) for number in range(3000)]
        assert {result.get(timeout=30) for result in results} == {b"OK"}
    assert _consumed(nsqd, topic, 3000) == list(range(3000))


def _consumed(nsqd: Nsqd, topic: str, count: int) -> list[int]:
    """The first so many messages of the channel "c"."""
    client = gnsq.NsqdTCPClient(nsqd.host, nsqd.tcp_port)
    client.connect()
    client.identify()
    client.subscribe(topic, "c")
    client.ready(2500)
    seen: list[int] = []
    while len(seen) < count:
        kind, message = client.read_response()
        if kind == gnsq.protocol.FRAME_TYPE_MESSAGE:
            seen.append(int(message.body))
            client.finish(message.id)
    client.close_stream()
    return seen
