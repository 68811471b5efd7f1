"""How NsqdTCPClient introduces itself, against a server that says what a test wants."""

from __future__ import annotations

import json
import time
from typing import Any, Callable

import pytest
from support import mode
from support.peer import ERROR, OK, RESPONSE, Connection, connected, frame, scripted

from gnsq import errors

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(mode.NAME == "asyncio", reason="asyncio has a client of its own"),
]


def answering(answer: bytes) -> Callable[[Connection], None]:
    """A server that answers IDENTIFY with this frame, and waits for the end."""

    def script(peer: Connection) -> None:
        peer.expect_identify()
        peer.send(answer)
        peer.expect_end()

    return script


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

    with scripted(answering(frame(RESPONSE, OK))) as peer:
        conn = connected(peer)
        assert conn.identify() is None
        assert conn.max_ready_count == 2500
        conn.close_stream()


def test_an_identify_that_is_refused_raises_and_closes() -> None:
    with scripted(answering(frame(ERROR, b"E_BAD_BODY IDENTIFY why"))) as peer:
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

    with scripted(answering(frame(RESPONSE, b'{"auth_required": true}'))) as peer:
        conn = connected(peer)
        with pytest.raises(errors.NSQUnauthorized, match="auth_secret"):
            conn.identify()
        conn.close_stream()
