"""Public classes may be extended, and say so when they can't be pickled."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any, Callable

import pytest
from support.servers import Nsqd

import gnsq
import gnsq.contrib.batch
import gnsq.contrib.giveup
import gnsq.contrib.queue
from gnsq import errors

pytestmark = pytest.mark.modes("threads", "gevent", "patched")

#: Whatever is made without a connection.
CLIENTS: dict[str, Callable[[], Any]] = {
    "Producer": lambda: gnsq.Producer("localhost"),
    "Consumer": lambda: gnsq.Consumer("topic", "channel", "localhost"),
    "NsqdTCPClient": lambda: gnsq.NsqdTCPClient(),
}


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("dump", [pickle.dumps, copy.deepcopy, copy.copy], ids=["pickle", "deepcopy", "copy"])
def test_a_client_can_not_be_pickled(name: str, dump: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match=name):
        dump(CLIENTS[name]())


def test_errors_survive_pickling() -> None:
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)]
    assert len(classes) > 15
    for kind in classes:
        # As an error of the system it has a number.
        error = kind(111, "text") if issubclass(kind, OSError) else kind("text")
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind
        assert again.args == error.args


def test_public_names_are_documented() -> None:
    for name in gnsq.__all__:
        thing = getattr(gnsq, name)
        if not inspect.isclass(thing):
            continue
        assert inspect.getdoc(thing), name
        for member, value in inspect.getmembers(thing):
            if not member.startswith("_") and callable(value):
                assert inspect.getdoc(value), f"{name}.{member}"


def test_clients_may_be_extended(nsqd: Nsqd, topic: str) -> None:
    class Publishing(gnsq.Producer):
        """Publishes to one topic."""

        def __init__(self, topic: str, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.topic = topic

        def send(self, data: bytes) -> Any:
            """Publishes."""
            return self.publish(self.topic, data)

    class Counting(gnsq.Consumer):
        """Counts, and closes itself."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.bodies: list[bytes] = []
            self.on_message.connect(self.handle)

        def handle(self, _consumer: gnsq.Consumer, message: gnsq.Message) -> None:
            """Handles a message."""
            self.bodies.append(message.body)
            if len(self.bodies) == 3:
                self.close()

    with Publishing(topic, nsqd.tcp_address) as producer:
        for _ in range(3):
            assert producer.send(b"x") == b"OK"
        assert "Publishing" in repr(producer)
    consumer = Counting(topic, "c", nsqd.tcp_address)
    consumer.start()
    assert consumer.bodies == [b"x"] * 3
    assert "Counting" in repr(consumer)


def test_connections_and_http_clients_may_be_extended(nsqd: Nsqd, topic: str) -> None:
    class Connection(gnsq.NsqdTCPClient):
        """Remembers."""

        sent = 0

        def publish(self, *args: Any, **kwargs: Any) -> Any:
            self.sent += 1
            return super().publish(*args, **kwargs)

    class Http(gnsq.NsqdHTTPClient):
        """Has a word of its own."""

        def is_well(self) -> bool:
            """Whether it is."""
            return self.ping() == b"OK"

    connection = Connection(nsqd.host, nsqd.tcp_port)
    connection.connect()
    connection.identify()
    connection.publish(topic, b"x")
    assert connection.read_response()[1] == b"OK"
    assert connection.sent == 1
    connection.close_stream()
    client = Http.from_url(nsqd.http_address)
    assert isinstance(client, Http)
    assert client.is_well()


def test_other_classes_may_be_extended() -> None:
    public = [
        gnsq.BackoffTimer,
        gnsq.Message,
        gnsq.Lookupd,
        gnsq.LookupdClient,
        gnsq.Nsqd,
        gnsq.Reader,
        gnsq.contrib.batch.BatchHandler,
        gnsq.contrib.giveup.LogGiveupHandler,
        gnsq.contrib.queue.QueueHandler,
    ]
    for kind in public:
        assert issubclass(type("Extended", (kind,), {}), kind)  # type: ignore[arg-type]
    message = type("Extended", (gnsq.Message,), {})(1, 2, b"0123456789abcdef", b"body")
    assert (message.timestamp, message.attempts, message.id, message.body) == (1, 2, b"0123456789abcdef", b"body")
