"""NsqdTCPClient with the real nsqd and the embedded one."""

from __future__ import annotations

import functools
import pickle
import random
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import trustme
from support import auth, mode
from support.peer import ERROR, HEARTBEAT, MESSAGE, OK, RESPONSE
from support.servers import Nsqd
from support.waiting import pause

import gnsq
from gnsq import errors, states
from gnsq.nsqd import NsqdTCPClient

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(mode.NAME == "asyncio", reason="asyncio has a client of its own"),
]

MakeNsqd = Callable[..., Nsqd]


def connected(nsqd: Nsqd, **options: Any) -> NsqdTCPClient:
    conn = NsqdTCPClient(nsqd.host, nsqd.tcp_port, **options)
    conn.connect()
    return conn


def identified(nsqd: Nsqd, **options: Any) -> NsqdTCPClient:
    conn = connected(nsqd, **options)
    conn.identify()
    return conn


def answer(conn: NsqdTCPClient) -> object:
    """The next frame that is no heartbeat."""
    while True:
        _, data = conn.read_response()
        if data != HEARTBEAT:
            return data


def subscribed(nsqd: Nsqd, topic: str, **options: Any) -> NsqdTCPClient:
    conn = identified(nsqd, **options)
    conn.subscribe(topic, "channel")
    assert answer(conn) == OK
    return conn


def round_trip(nsqd: Nsqd, topic: str, **options: Any) -> None:
    """Bodies of all kinds go to nsqd and come back on one connection."""
    bodies = [b"x", b"\xff\0\xfe", bytes(200_000), random.Random(1).randbytes(150_000), b"last"]
    conn = subscribed(nsqd, topic, **options)
    for body in bodies[:-1]:
        conn.publish(topic, body)
        assert answer(conn) == OK
    conn.multipublish(topic, [bodies[-1]])
    assert answer(conn) == OK
    conn.ready(1)
    received = []
    for _ in bodies:
        message = answer(conn)
        assert isinstance(message, gnsq.message.Message)
        received.append(message.body)
        message.finish()
    assert sorted(received) == sorted(bodies)
    conn.close()
    assert answer(conn) == b"CLOSE_WAIT"
    conn.close_stream()


def test_messages_go_round(nsqd: Nsqd, topic: str) -> None:
    round_trip(nsqd, topic)


def test_messages_go_round_by_name(nsqd: Nsqd, topic: str) -> None:
    conn = NsqdTCPClient("localhost", nsqd.tcp_port)
    conn.connect()
    response = conn.identify()
    assert response is not None
    assert conn.max_ready_count == response["max_rdy_count"] == 2500
    conn.publish(topic, "text")
    assert conn.read_response() == (RESPONSE, OK)
    conn.close_stream()


@pytest.mark.parametrize(
    "options",
    [{"snappy": True}, {"deflate": True}, {"deflate": True, "deflate_level": 1}, {"compression": "snappy"}],
)
def test_messages_go_round_compressed(nsqd: Nsqd, topic: str, options: dict[str, Any]) -> None:
    conn = connected(nsqd, **options)
    response = conn.identify()
    assert response is not None
    assert response["snappy"] or response["deflate"]
    conn.close_stream()
    round_trip(nsqd, topic, **options)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files: of an authority, of a server for 127.0.0.1, and of a client."""
    directory = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    client = authority.issue_cert("client@example.org")
    files = {"ca": directory / "ca.pem"}
    authority.cert_pem.write_to_path(str(files["ca"]))
    for name, made in (("server", server), ("client", client)):
        files[f"{name}_cert"], files[f"{name}_key"] = directory / f"{name}.pem", directory / f"{name}.key"
        for number, blob in enumerate(made.cert_chain_pems):
            blob.write_to_path(str(files[f"{name}_cert"]), append=number > 0)
        made.private_key_pem.write_to_path(str(files[f"{name}_key"]))
    return {name: str(path) for name, path in files.items()}


@pytest.fixture
def tls_nsqd(make_nsqd: MakeNsqd, certificates: dict[str, str]) -> Nsqd:
    return make_nsqd(tls_cert=certificates["server_cert"], tls_key=certificates["server_key"])


@pytest.mark.parametrize("more", [{}, {"snappy": True}, {"deflate": True}])
def test_messages_go_round_over_tls(
    tls_nsqd: Nsqd, topic: str, certificates: dict[str, str], more: dict[str, Any]
) -> None:
    trusting = {"ca_certs": certificates["ca"], "cert_reqs": ssl.CERT_REQUIRED}
    round_trip(tls_nsqd, topic, tls_v1=True, tls_options=trusting, **more)


def test_the_server_is_verified_unless_it_is_told_not_to_be(tls_nsqd: Nsqd, topic: str) -> None:
    conn = connected(tls_nsqd, tls_v1=True)
    with pytest.raises(errors.NSQSocketError, match="certificate"):
        conn.identify()
    assert not conn.is_connected
    for options in ({"cert_reqs": ssl.CERT_NONE}, {"insecure_skip_verify": True}):
        round_trip(tls_nsqd, topic, tls_v1=True, tls_options=options)


def test_the_name_of_the_server_is_verified(tls_nsqd: Nsqd, topic: str, certificates: dict[str, str]) -> None:
    conn = connected(tls_nsqd, tls_v1=True, tls_options={"ca_certs": certificates["ca"], "server_hostname": "other"})
    with pytest.raises(errors.NSQSocketError):
        conn.identify()
    named = {"ca_certs": certificates["ca"], "server_hostname": "localhost"}
    round_trip(tls_nsqd, topic, tls_v1=True, tls_options=named)


def test_a_client_shows_its_certificate(make_nsqd: MakeNsqd, topic: str, certificates: dict[str, str]) -> None:
    nsqd = make_nsqd(
        tls_cert=certificates["server_cert"],
        tls_key=certificates["server_key"],
        tls_root_ca_file=certificates["ca"],
        tls_client_auth_policy="require-verify",
    )
    shown = {name: certificates[f"client_{part}"] for name, part in (("certfile", "cert"), ("keyfile", "key"))}
    round_trip(nsqd, topic, tls_v1=True, tls_options={"ca_certs": Path(certificates["ca"]), **shown})
    conn = connected(nsqd, tls_v1=True, tls_options={"ca_certs": certificates["ca"]})
    with pytest.raises(errors.NSQException):
        conn.identify()


SECRET = "open sesame"


@pytest.fixture
def auth_nsqd(make_nsqd: MakeNsqd) -> Iterator[Nsqd]:
    with auth.running(SECRET) as address:
        yield make_nsqd(auth_http_address=address)


def test_a_secret_is_given_where_it_is_required(auth_nsqd: Nsqd, topic: str) -> None:
    round_trip(auth_nsqd, topic, auth_secret=SECRET)
    conn = connected(auth_nsqd, auth_secret=SECRET.encode())
    heard: list[Any] = []
    conn.on_auth.connect(lambda conn, response: heard.append(response), weak=False)
    conn.identify()
    assert [response["identity"] for response in heard] == ["tester"]
    conn.close_stream()


def test_a_wrong_secret_is_refused(auth_nsqd: Nsqd, topic: str) -> None:
    for secret in ("wrong", None):
        conn = connected(auth_nsqd, auth_secret=secret)
        with pytest.raises(errors.NSQUnauthorized):
            conn.identify()
        conn.close_stream()


def test_a_secret_that_nobody_asked_for_is_refused_when_it_is_given(nsqd: Nsqd) -> None:
    conn = identified(nsqd, auth_secret="s")
    with pytest.raises(errors.NSQAuthDisabled):
        conn.auth()
    assert not conn.is_connected


def test_a_deferred_message_comes_later(nsqd: Nsqd, topic: str) -> None:
    conn = subscribed(nsqd, topic)
    conn.ready(1)
    conn.publish(topic, b"later", defer=200)
    start = time.monotonic()
    assert answer(conn) == OK
    message = answer(conn)
    assert time.monotonic() - start > 0.15
    assert isinstance(message, gnsq.message.Message)
    message.finish()
    conn.close_stream()


def test_a_requeued_message_comes_again_and_a_late_answer_is_an_error_that_ends_nothing(nsqd: Nsqd, topic: str) -> None:
    conn = subscribed(nsqd, topic)
    conn.ready(1)
    nsqd.publish(topic, b"again")
    _, first = conn.read_response()
    first.requeue(0)
    _, second = conn.read_response()
    assert (second.id, second.attempts, second.body) == (first.id, 2, b"again")
    conn.finish(second.id)
    conn.finish(second.id)
    conn.touch(second.id)
    conn.requeue(second.id)
    for expected in (errors.NSQFinishFailed, errors.NSQTouchFailed, errors.NSQRequeueFailed):
        kind, error = conn.read_response()
        assert (kind, type(error)) == (ERROR, expected)
    conn.publish(topic, b"works")
    assert OK in (answer(conn), answer(conn))
    conn.close_stream()


def test_a_fatal_error_is_returned_once(nsqd: Nsqd, topic: str) -> None:
    conn = identified(nsqd)
    conn.publish(topic, b"")
    kind, error = conn.read_response()
    assert (kind, type(error)) == (ERROR, errors.NSQBadMessage)
    assert conn.state == states.DISCONNECTED
    with pytest.raises(errors.NSQSocketError):
        conn.read_response()
    with pytest.raises(errors.NSQSocketError):
        conn.publish(topic, b"x")


def test_an_idle_connection_that_nobody_reads_stays_alive(nsqd: Nsqd, topic: str) -> None:
    conn = subscribed(nsqd, topic, heartbeat_interval=1)
    pause(4.5)
    conn.publish(topic, b"x")
    assert answer(conn) == OK
    conn.close_stream()


def test_listen_ends_with_nsqd(nsqd: Nsqd, topic: str, spawn: Callable[..., Any]) -> None:
    conn = subscribed(nsqd, topic)
    closed: list[object] = []
    conn.on_close.connect(closed.append, weak=False)
    listener = spawn(conn.listen)
    pause(0.1)
    nsqd.stop()
    with pytest.raises(errors.NSQSocketError):
        listener.result()
    assert (conn.is_connected, closed) == (False, [conn])
    with pytest.raises(errors.NSQSocketError):
        connected(nsqd)


def test_flow_is_counted(nsqd: Nsqd, topic: str) -> None:
    conn = subscribed(nsqd, topic)
    nsqd.publish(topic, *(b"%d" % number for number in range(10)))
    assert not conn.is_starved
    conn.ready(10)
    assert conn.ready_count == 10
    messages = [answer(conn) for _ in range(8)]
    assert (conn.in_flight, conn.is_starved) == (8, False)
    messages.append(answer(conn))
    assert (conn.in_flight, conn.is_starved) == (9, True)
    for message in messages:
        assert isinstance(message, gnsq.message.Message)
        message.finish()
    assert (conn.in_flight, conn.is_starved) == (0, False)
    assert "ready_count=10" in repr(conn)
    conn.close_stream()
    assert "closed" in repr(conn)


def test_threads_answer_while_another_listens(nsqd: Nsqd, topic: str, eventually: Callable[..., object]) -> None:
    conn = subscribed(nsqd, topic)
    count = 500
    taken: list[Any] = []
    conn.on_message.connect(lambda conn, message: taken.append(message), weak=False)

    def finish() -> None:
        done = 0
        while done < count // 5:
            try:
                message = taken.pop()
            except IndexError:
                time.sleep(0.001)
                continue
            message.finish()
            done += 1

    threads = [threading.Thread(target=finish) for _ in range(5)]
    for thread in threads:
        thread.start()
    conn.ready(50)
    for number in range(count):
        conn.publish(topic, b"%d" % number)
    kinds = [conn.read_response()[0] for _ in range(2 * count)]
    assert sorted(set(kinds)) == [RESPONSE, MESSAGE]
    if mode.NAME == "patched":
        pause(0.5)
    for thread in threads:
        thread.join(30)
    assert conn.in_flight == 0
    eventually(lambda: nsqd.stats(topic, "channel")["in_flight_count"] == 0)
    conn.close_stream()


def test_connections_are_compared_by_their_address() -> None:
    one, same, other = NsqdTCPClient("a", 1), NsqdTCPClient("a", 1, timeout=3), NsqdTCPClient("b", 1)
    assert str(one) == "a:1"
    assert one == same
    assert hash(one) == hash(same)
    assert {one, same, other} == {same, other}
    assert sorted([other, one]) == [one, other]
    assert one <= same < other > one >= same
    assert one != other
    assert one != "a:1"
    assert repr(one) == "<NsqdTCPClient a:1 not connected>"


def test_the_options_are_attributes() -> None:
    conn = NsqdTCPClient(heartbeat_interval=12.5, hostname="a.b.c", auth_secret="s3cr3t", output_buffer_timeout=100)
    assert (str(conn), conn.address, conn.port, conn.timeout) == ("127.0.0.1:4150", "127.0.0.1", 4150, 60.0)
    assert (conn.heartbeat_interval, conn.client_id, conn.hostname) == (12500, "a", "a.b.c")
    assert conn.user_agent == f"gnsq/{gnsq.__version__}"
    assert (conn.output_buffer_size, conn.output_buffer_timeout, conn.deflate_level) == (16384, 100, 6)
    assert (conn.state, conn.is_connected, conn.last_message) == (states.INIT, False, None)
    assert "s3cr3t" not in repr(conn)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"unknown": 1}, TypeError),
        ({"address": 5}, TypeError),
        ({"port": 0}, ValueError),
        ({"port": "x"}, ValueError),
        ({"compression": "zip"}, ValueError),
        ({"snappy": True, "deflate": True}, ValueError),
        ({"tls_v1": True, "tls_options": {"unknown": 1}}, TypeError),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        NsqdTCPClient(**options)


def test_a_connection_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(NsqdTCPClient())


def test_a_subclass_sees_all(nsqd: Nsqd, topic: str) -> None:
    class Mine(NsqdTCPClient):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.calls: list[str] = []

        def finish(self, message_id: bytes | str) -> None:
            self.calls.append("finish")
            super().finish(message_id)

        def read_response(self) -> tuple[int, Any]:
            self.calls.append("read")
            return super().read_response()

    conn = Mine(nsqd.host, nsqd.tcp_port)
    with conn:
        conn.identify()
        conn.subscribe(topic, "channel")
        conn.publish(topic, b"x")
        conn.ready(1)
        handle = functools.partial(lambda conn, message: (message.finish(), conn.close_stream()))
        conn.on_message.connect(handle)
        conn.listen()
    assert conn.calls.count("finish") == 1
    assert conn.calls.count("read") >= 3
    assert "Mine" in repr(conn)


@pytest.mark.parametrize("timeout", [0.2])
def test_gevents_timeout_interrupts_a_read_and_loses_nothing(nsqd: Nsqd, topic: str, timeout: float) -> None:
    if not mode.IS_GEVENT:
        pytest.skip("gevent's")
    import gevent

    conn = subscribed(nsqd, topic)
    for _ in range(3):
        with pytest.raises(gevent.Timeout), gevent.Timeout(timeout):
            conn.read_response()
    conn.publish(topic, b"x")
    assert answer(conn) == OK
    conn.close_stream()


def test_others_run_while_one_reads(nsqd: Nsqd, topic: str, spawn: Callable[..., Any]) -> None:
    conns = [subscribed(nsqd, f"{topic}.{number}") for number in range(10)]
    readers = [spawn(conn.read_response) for conn in conns]
    for number, conn in enumerate(conns):
        nsqd.publish(f"{topic}.{number}", b"%d" % number)
        conn.ready(1)
    for number, reader in enumerate(readers):
        assert reader.result()[1].body == b"%d" % number
    for conn in conns:
        conn.close_stream()
