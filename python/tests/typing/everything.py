"""Uses everything that is public, to be checked by mypy --strict and never run."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import gnsq
from gnsq import errors, protocol, states, util
from gnsq.contrib.batch import BatchHandler
from gnsq.contrib.giveup import JSONLogGiveupHandler, LogGiveupHandler, NsqdGiveupHandler
from gnsq.contrib.queue import ChannelHandler, QueueHandler


def produce() -> None:
    """A producer."""
    tls: dict[str, Any] = {"ca_certs": "ca.pem", "cert_reqs": ssl.CERT_REQUIRED}
    producer = gnsq.Producer(["localhost:4150"], max_backoff_duration=10, tls_v1=True, tls_options=tls, auth_secret="x")
    producer.start()
    producer.publish("topic", b"data", defer=100, block=True, timeout=1.5)
    producer.publish("topic", "text", raise_error=True)
    producer.multipublish("topic", [b"one", "two", bytearray(b"three")])
    producer.on_response.connect(lambda sender, response: None)
    producer.connect_to_nsqd("localhost", 4150)
    running: bool = producer.is_running
    producer.close()
    producer.join(timeout=1)
    with gnsq.Producer("localhost") as other:
        result = other.publish("topic", b"data", raise_error=False)
        data: bytes = result.get(timeout=1)
        future: Future[bytes] = result.future()
    print(running, data, future)


def consume() -> None:
    """A consumer."""
    consumer = gnsq.Consumer(
        "topic", "channel", "localhost", max_in_flight=10, message_timeout=1000, compression="snappy"
    )

    @consumer.on_message.connect
    def handle(consumer: gnsq.Consumer, message: gnsq.Message) -> None:
        body: bytes = message.body
        attempts: int = message.attempts
        message.enable_async()
        message.touch()
        if not message.has_responded() and message.is_async():
            message.requeue(time_ms=10, backoff=False)
        message.finish()
        print(body, attempts)
        raise errors.NSQRequeueMessage(backoff=False)

    consumer.start(block=False)
    ready: int = consumer.total_ready_count + consumer.total_in_flight
    starved: bool = consumer.is_starved
    consumer.query_nsqd()
    consumer.query_lookupd()
    consumer.redistribute_ready_state()
    for message in consumer.messages():
        print(message.timestamp, message.id, ready, starved, handle)
    lookupds: list[gnsq.LookupdClient] = consumer.lookupds
    consumer.close()
    consumer.join()
    print(lookupds)


def connect() -> None:
    """One connection, and HTTP."""
    client = gnsq.NsqdTCPClient("localhost", 4150, timeout=1.0, heartbeat_interval=10, deflate=True, deflate_level=3)
    client.connect()
    client.identify()
    client.subscribe("topic", "channel")
    client.ready(10)
    kind, data = client.read_response()
    if kind == protocol.FRAME_TYPE_MESSAGE and isinstance(data, gnsq.Message):
        client.finish(data.id)
        client.requeue(data.id, timeout=1, backoff=False)
        client.touch(data.id)
    client.publish("topic", b"data", defer=1)
    client.multipublish("topic", [b"data"])
    client.nop()
    client.close()
    client.close_stream()
    connected: bool = client.is_connected and client.state == states.CONNECTED
    nsqd = gnsq.NsqdHTTPClient.from_url("http://localhost:4151")
    nsqd.publish("topic", b"data")
    nsqd.create_channel("topic", "channel")
    lookupd = gnsq.LookupdClient("localhost", 4161)
    lookupd.lookup("topic")
    timer = gnsq.BackoffTimer(max_interval=10).failure().success().reset()
    interval: float = timer.get_interval()
    print(connected, nsqd.stats("topic"), nsqd.ping(), lookupd.nodes(), interval, util.normalize_nsqd_address("a"))


def handlers() -> None:
    """What contrib has."""
    batches: BatchHandler[gnsq.Message] = BatchHandler(10, handle_batch=lambda messages: None)
    queue: QueueHandler[gnsq.Message] = QueueHandler(maxsize=10)
    consumer = gnsq.Consumer("topic", "channel", "localhost")
    consumer.on_message.connect(batches)
    consumer.on_message.connect(queue)
    consumer.on_message.connect(ChannelHandler())
    for given_up in (LogGiveupHandler(), JSONLogGiveupHandler(), NsqdGiveupHandler("topic")):
        consumer.on_giving_up.connect(given_up)
    messages: Iterator[gnsq.Message] = iter(queue)
    print(next(messages))


def embedded() -> None:
    """The servers for tests."""
    import gnsq.testing

    with gnsq.testing.Nsqlookupd() as lookupd, gnsq.testing.Nsqd(lookupd=lookupd, msg_timeout=1) as nsqd:
        address: str = nsqd.tcp_address
        print(address, lookupd.http_address, nsqd.stats())
