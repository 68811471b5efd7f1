"""NsqdTCPClient against a server that says what a test wants, in the thread of the client under gevent."""

from __future__ import annotations

import errno
import json
import struct
import time
from typing import Any, Callable

import pytest
from support import mode
from support.peer import ERROR, HEARTBEAT, MESSAGE, OK, RESPONSE, Connection, Peer, frame, message_frame, scripted
from support.waiting import pause

from gnsq import errors, states
from gnsq.message import Message
from gnsq.nsqd import NsqdTCPClient

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(mode.NAME == "asyncio", reason="asyncio has a client of its own"),
]

ID = b"%016d" % 1


def connected(peer: Peer, **options: Any) -> NsqdTCPClient:
    conn = NsqdTCPClient(peer.host, peer.port, **options)
    conn.connect()
    return conn


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


def test_identify_returns_what_is_granted_or_none() -> None:
    asked: dict[str, Any] = {}

    def script(peer: Connection) -> None:
        asked.update(peer.expect_identify())
        peer.respond(json.dumps({"max_rdy_count": 1234, "version": "9"}).encode())
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer, client_id="me", hostname="here.example", heartbeat_interval=12.5, sample_rate=7)
        assert (conn.max_ready_count, conn.last_response) == (2500, None)
        heard = []
        conn.on_response.connect(lambda conn, response: heard.append(json.loads(response)), weak=False)
        assert conn.identify() == {"max_rdy_count": 1234, "version": "9"}
        assert heard == [{"max_rdy_count": 1234, "version": "9"}]
        assert conn.max_ready_count == 1234
        assert conn.last_response is not None
        assert abs(time.time() - conn.last_response) < 30
        conn.close_stream()
    wanted = {
        "client_id": "me",
        "hostname": "here.example",
        "heartbeat_interval": 12500,
        "sample_rate": 7,
        "output_buffer_size": 16384,
        "output_buffer_timeout": 250,
        "feature_negotiation": True,
    }
    assert {name: asked.get(name) for name in wanted} == wanted
    assert asked["user_agent"].startswith("gnsq/")

    def plain(peer: Connection) -> None:
        peer.expect_identify()
        peer.respond()
        peer.expect_end()

    with scripted(plain) as peer:
        conn = connected(peer)
        assert conn.identify() is None
        assert conn.max_ready_count == 2500
        conn.close_stream()


def test_an_identify_that_is_refused_raises_and_closes() -> None:
    def script(peer: Connection) -> None:
        peer.expect_identify()
        peer.error(b"E_BAD_BODY IDENTIFY why")
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)
        told: list[object] = []
        conn.on_error.connect(lambda conn, error: told.append(type(error)), weak=False)
        conn.on_close.connect(lambda conn: told.append("closed"), weak=False)
        with pytest.raises(errors.NSQBadBody, match="why"):
            conn.identify()
        assert told == [errors.NSQBadBody, "closed"]
        assert not conn.is_connected


def test_tls_that_is_declined_is_not_done_without() -> None:
    def script(peer: Connection) -> None:
        assert peer.expect_identify()["tls_v1"] is True
        peer.respond(b'{"tls_v1": false}')
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer, tls_v1=True)
        with pytest.raises(errors.NSQException, match="tls_v1"):
            conn.identify()
        assert not conn.is_connected


def test_auth_follows_identify_where_it_is_required() -> None:
    def script(peer: Connection) -> None:
        peer.expect_identify()
        peer.respond(b'{"auth_required": true}')
        peer.expect(b"AUTH\n\0\0\0\x06secret")
        peer.respond(b'{"identity": "me", "permission_count": 3, "more": []}')
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer, auth_secret="secret")
        heard = []
        conn.on_auth.connect(lambda conn, response: heard.append(response), weak=False)
        assert conn.identify() == {"auth_required": True}
        assert heard == [{"identity": "me", "permission_count": 3, "more": []}]
        assert "secret" not in repr(conn)
        conn.close_stream()


def test_auth_is_refused_by_nsqd_or_for_want_of_a_secret() -> None:
    def script(peer: Connection) -> None:
        peer.expect_identify()
        peer.respond(b'{"auth_required": true}')
        peer.expect(b"AUTH\n\0\0\0\x03bad")
        peer.error(b"E_UNAUTHORIZED AUTH no")
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer, auth_secret=b"bad")
        with pytest.raises(errors.NSQUnauthorized, match="AUTH no"):
            conn.identify()
        assert not conn.is_connected

    def asking(peer: Connection) -> None:
        peer.expect_identify()
        peer.respond(b'{"auth_required": true}')
        peer.expect_end()

    with scripted(asking) as peer:
        conn = connected(peer)
        with pytest.raises(errors.NSQUnauthorized, match="auth_secret"):
            conn.identify()
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


@pytest.mark.parametrize("data", [b"", b"\0\0", frame(RESPONSE, b"half of it")[:-4]])
def test_the_end_of_the_connection_raises_a_socket_error(data: bytes) -> None:
    with scripted(lambda peer: peer.send(data)) as peer:
        conn = connected(peer)
        closed: list[object] = []
        conn.on_close.connect(closed.append, weak=False)
        with pytest.raises(errors.NSQSocketError) as raised:
            conn.read_response()
        assert isinstance(raised.value, OSError)
        assert raised.value.errno == errno.ECONNRESET
        assert (conn.state, closed) == (states.DISCONNECTED, [conn])


def test_a_reset_raises_a_socket_error_from_listen() -> None:
    def script(peer: Connection) -> None:
        peer.respond(b"first")
        # So that the client has it before the reset destroys it.
        peer.expect(b"NOP\n")
        peer.reset()

    with scripted(script) as peer:
        conn = connected(peer)
        conn.on_response.connect(lambda conn, response: conn.nop(), weak=False)
        with pytest.raises(errors.NSQSocketError):
            conn.listen()
        assert not conn.is_connected


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


def test_listen_reads_until_a_receiver_closes() -> None:
    def script(peer: Connection) -> None:
        for number in range(1, 21):
            peer.send(message_frame(number))
        for number in range(1, 21):
            peer.expect(b"FIN %016d\n" % number)
        peer.expect_end()

    with scripted(script) as peer:
        conn = connected(peer)

        def handle(conn: NsqdTCPClient, message: Message) -> None:
            message.finish()
            if message.id == b"%016d" % 20:
                conn.close_stream()

        conn.on_message.connect(handle)
        conn.listen()
        assert not conn.is_connected


def test_close_stream_elsewhere_ends_a_blocked_reader_and_listener(spawn: Callable[..., Any]) -> None:
    for read, raises in ((NsqdTCPClient.read_response, True), (NsqdTCPClient.listen, False)):
        with scripted(Connection.expect_end) as peer:
            conn = connected(peer)
            reader = spawn(read, conn)
            pause(0.2)
            assert not reader.ended
            conn.close_stream()
            conn.close_stream()
            if raises:
                with pytest.raises(errors.NSQSocketError):
                    reader.result()
            else:
                assert reader.result() is None


def test_a_connection_is_made_once() -> None:
    with scripted(Connection.expect_end) as peer:
        conn = NsqdTCPClient(peer.host, peer.port)
        for use in (conn.read_response, conn.nop, conn.identify, conn.auth):
            with pytest.raises(errors.NSQSocketError) as raised:
                use()
            assert raised.value.errno == errno.ENOTCONN
        conn.close_stream()
        assert conn.state == states.INIT
        conn.connect()
        conn.connect()
        assert conn.state == states.CONNECTED
        conn.close_stream()
        assert conn.state == states.DISCONNECTED
        with pytest.raises(errors.NSQException, match="closed"):
            conn.connect()
        conn.listen()


def test_a_refused_connection_raises_an_os_error_and_can_be_tried_again() -> None:
    with scripted(Connection.expect_end) as peer:
        free = peer.port
        connected(peer).close_stream()
    conn = NsqdTCPClient("127.0.0.1", free)
    for _ in range(2):
        with pytest.raises(errors.NSQSocketError) as raised:
            conn.connect()
        assert isinstance(raised.value, OSError)
        assert raised.value.errno == errno.ECONNREFUSED
        assert conn.state == states.INIT


@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_ipv6_addresses_work(address: str) -> None:
    with scripted(Connection.expect_end, host="::1") as peer:
        conn = NsqdTCPClient(address, peer.port)
        conn.connect()
        assert str(conn) == f"[::1]:{peer.port}"
        conn.close_stream()


def test_a_with_block_connects_and_closes() -> None:
    with scripted(Connection.expect_end) as peer, NsqdTCPClient(peer.host, peer.port) as conn:
        assert conn.is_connected
    assert not conn.is_connected


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
