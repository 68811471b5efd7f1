"""`gnsq.protocol` over a plain socket: nsqd takes each command as it is built, and its frames are unpacked."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from gnsq import errors, protocol


class Plain:
    """A socket, and frames."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=30)
        self.send(protocol.MAGIC_V2)

    def send(self, *commands: bytes) -> None:
        self._socket.sendall(b"".join(commands))

    def frame(self) -> tuple[int, bytes]:
        """The next one that is no heartbeat."""
        while True:
            given = protocol.unpack_response(self._read(protocol.unpack_size(self._read(4))))
            if given != (protocol.FRAME_TYPE_RESPONSE, protocol.HEARTBEAT):
                return given
            self.send(protocol.nop())

    def message(self) -> tuple[int, int, bytes, bytes]:
        frame_type, data = self.frame()
        assert frame_type == protocol.FRAME_TYPE_MESSAGE
        return protocol.unpack_message(data)

    def ok(self, *commands: bytes) -> None:
        self.send(*commands)
        for _ in commands:
            assert self.frame() == (protocol.FRAME_TYPE_RESPONSE, protocol.OK)

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            assert more, "nsqd has closed the connection"
            data += more
        return data


@pytest.fixture
def connect(nsqd: Any) -> Iterator[Callable[[], Plain]]:
    """Makes connections to nsqd."""
    made: list[Plain] = []

    def make() -> Plain:
        made.append(Plain((nsqd.host, nsqd.tcp_port)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_nsqd_takes_who_the_client_is(connect: Callable[[], Plain]) -> None:
    plain = connect()
    plain.ok(protocol.identify({"client_id": "plain", "feature_negotiation": False}))
    negotiating = connect()
    negotiating.send(protocol.identify({"client_id": "plän", "feature_negotiation": True, "heartbeat_interval": 1000}))
    frame_type, data = negotiating.frame()
    assert frame_type == protocol.FRAME_TYPE_RESPONSE
    assert json.loads(data)["max_rdy_count"] == 2500


def test_nsqd_takes_messages_and_their_answers(connect: Callable[[], Plain], topic: str) -> None:
    consumer, producer = connect(), connect()
    consumer.ok(protocol.subscribe(topic, "channel#ephemeral"))
    producer.ok(
        protocol.publish(topic, b"one \xff"),
        protocol.multipublish(topic, [b"two", b"three"]),
        protocol.deferpublish(topic, b"four", 100),
        protocol.nop() + protocol.publish(topic, b"five"),
    )
    consumer.send(protocol.ready(5))
    given = [consumer.message() for _ in range(5)]
    assert sorted(body for *_, body in given) == [b"five", b"four", b"one \xff", b"three", b"two"]
    assert [attempts for _, attempts, *_ in given] == [1] * 5
    assert all(len(message_id) == 16 for _, _, message_id, _ in given)

    first = given[0][2]
    consumer.send(protocol.touch(first), protocol.requeue(first, 50))
    _, attempts, again, _ = consumer.message()
    assert (attempts, again) == (2, first)
    consumer.send(*(protocol.finish(message_id) for _, _, message_id, _ in given))
    # Nothing is left, and the connection is as good as before.
    consumer.send(protocol.ready(0), protocol.nop(), protocol.close())
    assert consumer.frame() == (protocol.FRAME_TYPE_RESPONSE, protocol.CLOSE_WAIT)


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (protocol.finish, errors.NSQFinishFailed),
        (protocol.requeue, errors.NSQRequeueFailed),
        (protocol.touch, errors.NSQTouchFailed),
    ],
)
def test_errors_of_answers_leave_the_connection(
    connect: Callable[[], Plain], topic: str, build: Callable[[bytes], bytes], error: type[errors.NSQErrorCode]
) -> None:
    plain = connect()
    plain.ok(protocol.subscribe(topic, "channel"))
    plain.send(build(b"0123456789abcdef"))
    frame_type, data = plain.frame()
    assert frame_type == protocol.FRAME_TYPE_ERROR
    assert type(errors.make_error(data)) is error
    plain.ok(protocol.publish(topic, b"still here"))


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (protocol.auth(b"secret"), errors.NSQAuthDisabled),
        (b"PUB no/topic\n\x00\x00\x00\x01a", errors.NSQBadTopic),
        (b"SUB topic no/channel\n", errors.NSQBadChannel),
        (protocol.publish("topic", b""), errors.NSQBadMessage),
        (protocol.multipublish("topic", []), errors.NSQBadBody),
        (protocol.requeue(b"0123456789abcdef"), errors.NSQInvalid),
    ],
)
def test_other_errors_have_their_classes(
    connect: Callable[[], Plain], command: bytes, error: type[errors.NSQErrorCode]
) -> None:
    plain = connect()
    plain.send(command)
    frame_type, data = plain.frame()
    assert frame_type == protocol.FRAME_TYPE_ERROR
    made = errors.make_error(data)
    assert type(made) is error
    assert str(made) == data.decode()
    assert error.fatal
