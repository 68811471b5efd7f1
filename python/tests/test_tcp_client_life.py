"""How connections of NsqdTCPClient begin and end, against a server that says what a test wants."""

from __future__ import annotations

import errno
from typing import Any, Callable

import pytest
from support import mode
from support.peer import RESPONSE, Connection, connected, frame, message_frame, scripted
from support.waiting import pause

from gnsq import errors, states
from gnsq.message import Message
from gnsq.nsqd import NsqdTCPClient

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(mode.NAME == "asyncio", reason="asyncio has a client of its own"),
]


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
