"""What NsqdTCPClient sends and reads, against a server that says what a test wants."""

from __future__ import annotations

import struct
import time
from typing import Callable

import pytest
from support import mode
from support.peer import ERROR, HEARTBEAT, MESSAGE, OK, RESPONSE, Connection, connected, frame, message_frame, scripted
from support.waiting import pause

from gnsq import errors
from gnsq.message import Message

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(mode.NAME == "asyncio", reason="asyncio has a client of its own"),
]

ID = b"%016d" % 1


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("subscribe", ("topic", "channel"), b"SUB topic channel\n"),
        ("publish", ("topic", b"data"), b"PUB topic\n\0\0\0\4data"),
        ("publish", ("topic", "d\xe4ta"), b"PUB topic\n\0\0\0\5d\xc3\xa4ta"),
        ("publish", ("topic", b"data", 42), b"DPUB topic 42\n\0\0\0\4data"),
        ("publish", ("topic", b"data", 0), b"DPUB topic 0\n\0\0\0\4data"),
        ("publish", ("topic", b""), b"PUB topic\n\0\0\0\0"),
        ("multipublish", ("topic", [b"a", bytearray(b"bc")]), b"MPUB topic\n\0\0\0\x0f\0\0\0\2\0\0\0\1a\0\0\0\2bc"),
        ("ready", (9,), b"RDY 9\n"),
        ("finish", (ID,), b"FIN " + ID + b"\n"),
        ("finish", (ID.decode(),), b"FIN " + ID + b"\n"),
        ("requeue", (ID,), b"REQ " + ID + b" 0\n"),
        ("requeue", (ID, 1000), b"REQ " + ID + b" 1000\n"),
        ("touch", (ID,), b"TOUCH " + ID + b"\n"),
        ("close", (), b"CLS\n"),
        ("nop", (), b"NOP\n"),
    ],
)
def test_each_command_is_sent_as_it_stands_in_one_write(
    command: str, arguments: tuple[object, ...], expected: bytes
) -> None:
    def script(peer: Connection) -> None:
        # Not more than one look: the rest would be another write.
        assert peer._socket.recv(1024) == expected
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        getattr(conn, command)(*arguments)
        conn.close_stream()
        assert not conn.is_connected


@pytest.mark.parametrize(
    ("command", "arguments", "error"),
    [
        ("subscribe", ("no topic", "channel"), ValueError),
        ("subscribe", ("topic", "x" * 65), ValueError),
        ("publish", ("", b"x"), ValueError),
        ("publish", ("topic", 7), TypeError),
        ("publish", ("topic", None), TypeError),
        ("publish", ("topic", b"x", "soon"), TypeError),
        ("multipublish", ("topic", [b"x", 1]), TypeError),
        ("multipublish", ("topic", "several"), TypeError),
        ("ready", ("many",), TypeError),
        ("ready", (-1,), ValueError),
        ("finish", (b"short",), ValueError),
        ("finish", (b"0123 56789abcde\n",), ValueError),
        ("finish", (5,), TypeError),
        ("requeue", (ID, "later"), TypeError),
        ("requeue", (ID, -1), ValueError),
        ("touch", (b"",), ValueError),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_sent(
    command: str, arguments: tuple[object, ...], error: type[Exception]
) -> None:
    with scripted(Connection.expect_end) as peer:
        conn = connected(peer)
        with pytest.raises(error):
            getattr(conn, command)(*arguments)
        assert (conn.ready_count, conn.in_flight, conn.is_connected) == (0, 0, True)
        conn.close_stream()


def test_frames_are_read_in_their_order_whoever_asked_for_them() -> None:
    def script(peer: Connection) -> None:
        peer.send(frame(RESPONSE, b"unasked") + message_frame(1) + frame(ERROR, b"E_FIN_FAILED why"))
        peer.send(frame(RESPONSE, b"CLOSE_WAIT") + frame(RESPONSE, b""))
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        assert conn.read_response() == (RESPONSE, b"unasked")
        kind, message = conn.read_response()
        assert (kind, message.id, message.timestamp, message.attempts, message.body) == (MESSAGE, ID, 1, 1, b"body")
        kind, error = conn.read_response()
        assert kind == ERROR
        assert isinstance(error, errors.NSQFinishFailed)
        assert conn.is_connected
        assert conn.read_response() == (RESPONSE, b"CLOSE_WAIT")
        assert conn.read_response() == (RESPONSE, b"")
        conn.close_stream()


def test_a_heartbeat_is_answered_and_read() -> None:
    def script(peer: Connection) -> None:
        peer.respond(HEARTBEAT)
        peer.expect(b"NOP\n")
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        heard = []
        conn.on_response.connect(lambda conn, response: heard.append(response), weak=False)
        assert conn.read_response() == (RESPONSE, HEARTBEAT)
        assert heard == [HEARTBEAT]
        conn.close_stream()


def test_heartbeats_are_answered_though_nobody_reads_and_the_next_answer_is_not_behind_them() -> None:
    def script(peer: Connection) -> None:
        for _ in range(5):
            peer.respond(HEARTBEAT)
            peer.expect(b"NOP\n")
        peer.expect(b"PUB topic\n\0\0\0\1x")
        peer.respond()
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        pause(0.3)
        conn.publish("topic", b"x")
        assert conn.read_response() == (RESPONSE, OK)
        conn.close_stream()


@pytest.mark.parametrize("code", sorted(errors.ERROR_CODES))
def test_each_error_is_returned_and_closes_if_it_is_fatal(code: bytes) -> None:
    def script(peer: Connection) -> None:
        peer.error(code + b" why it is")
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        told: list[object] = []
        conn.on_error.connect(lambda conn, error: told.append(type(error)), weak=False)
        conn.on_close.connect(lambda conn: told.append("closed"), weak=False)
        kind, error = conn.read_response()
        assert kind == ERROR
        assert type(error) is errors.ERROR_CODES[code]
        assert "why it is" in str(error)
        assert conn.is_connected is not error.fatal
        assert told == [type(error)] + ["closed"] * error.fatal
        conn.close_stream()


def test_an_unknown_error_closes_too() -> None:
    with scripted(lambda peer: peer.error(b"E_SUB_FAILED why")) as peer:
        conn = connected(peer)
        kind, error = conn.read_response()
        assert kind == ERROR
        assert isinstance(error, errors.NSQException)
        assert not conn.is_connected


@pytest.mark.parametrize(
    "data",
    [
        frame(3, b"what"),
        frame(-1, b""),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        struct.pack(">i", 2) + b"xx",
        frame(MESSAGE, b"too short"),
    ],
)
def test_what_is_no_frame_raises_a_frame_error(data: bytes) -> None:
    with scripted(lambda peer: peer.send(data)) as peer:
        conn = connected(peer)
        with pytest.raises(errors.NSQFrameError):
            conn.read_response()
        assert not conn.is_connected
        with pytest.raises(errors.NSQSocketError):
            conn.read_response()


def test_messages_are_answered_through_their_connection() -> None:
    def script(peer: Connection) -> None:
        for number in (1, 2, 3):
            peer.send(message_frame(number, b"\xff\0" * number))
        peer.expect(b"TOUCH %016d\nFIN %016d\n" % (1, 1))
        peer.expect(b"REQ %016d 500\n" % 2)
        peer.expect(b"FIN %016d\n" % 3)
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        told: list[object] = []
        conn.on_message.connect(lambda conn, message: told.append(message.id), weak=False)
        conn.on_finish.connect(lambda conn, message_id: told.append(("finish", message_id)), weak=False)
        conn.on_requeue.connect(
            lambda conn, message_id, timeout, backoff: told.append(("requeue", message_id, timeout, backoff)),
            weak=False,
        )
        messages = [conn.read_response()[1] for _ in range(3)]
        assert all(isinstance(message, Message) for message in messages)
        assert messages[2].body == b"\xff\0" * 3
        assert conn.in_flight == 3
        assert conn.last_message is not None
        first, second, third = messages
        first.on_finish.connect(lambda message: told.append(("first", message)), weak=False)
        first.touch()
        first.finish()
        assert conn.in_flight == 2
        with pytest.raises(errors.NSQException):
            first.finish()
        with pytest.raises(errors.NSQException):
            first.touch()
        second.requeue(500, backoff=False)
        conn.finish(third.id)
        assert conn.in_flight == 0
        assert told == [b"%016d" % number for number in (1, 2, 3)] + [
            ("first", first),
            ("finish", first.id),
            ("requeue", second.id, 500, False),
            ("finish", third.id),
        ]
        conn.close_stream()


def test_what_nobody_has_read_goes_back_and_what_is_in_hand_does_not(eventually: Callable[..., object]) -> None:
    def script(peer: Connection) -> None:
        peer.send(message_frame(1) + message_frame(2) + message_frame(3))
        peer.expect(b"RDY 0\nREQ %016d 0\nREQ %016d 0\n" % (2, 3))
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        _, message = conn.read_response()
        eventually(lambda: "2 to take" in repr(conn._native.events))  # type: ignore[union-attr]
        conn.close_stream()
        with pytest.raises(errors.NSQSocketError):
            message.finish()
        assert not message.has_responded()


def test_a_sender_waits_for_a_server_that_is_slow_to_read() -> None:
    body = b"x" * 100_000
    command = b"PUB topic\n" + struct.pack(">i", len(body)) + body

    def script(peer: Connection) -> None:
        pause(0.3)
        for _ in range(200):
            peer.expect(command)
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        start = time.monotonic()
        for _ in range(200):
            conn.publish("topic", body)
        assert time.monotonic() - start > 0.2
        conn.close_stream()
