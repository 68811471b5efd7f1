"""What the clients of the HTTP APIs send, and what they make of answers that the servers of today don't give."""

from __future__ import annotations

import os
import pickle
import socket
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support import mode
from support.scripted_http import Scripted, scripted_http

from gnsq import __version__, errors
from gnsq._nsqd_http import NsqdHTTPClient
from gnsq.lookupd import LookupdClient


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted_http() as script:
        yield script


@pytest.fixture
def nsqd_client(server: Scripted) -> NsqdHTTPClient:
    return NsqdHTTPClient.from_url(server.url)


@pytest.fixture
def lookupd(server: Scripted) -> LookupdClient:
    return LookupdClient.from_url(server.url)


BAD = ["", "a b", "a" * 65, "é", b"a/b", "a#ephemeral#ephemeral"]

NSQD_CALLS: list[tuple[Callable[[NsqdHTTPClient], object], str]] = [
    (lambda client: client.publish("t", b"m"), "POST /pub?topic=t"),
    (lambda client: client.publish(b"t#ephemeral", b"m"), "POST /pub?topic=t%23ephemeral"),
    (lambda client: client.publish("t", b"m", 5), "POST /pub?topic=t&defer=5"),
    (lambda client: client.multipublish("t", [b"m"]), "POST /mpub?topic=t"),
    (lambda client: client.multipublish("t", [b"m"], True), "POST /mpub?topic=t&binary=true"),
    (lambda client: client.create_topic("t"), "POST /topic/create?topic=t"),
    (lambda client: client.delete_topic("t"), "POST /topic/delete?topic=t"),
    (lambda client: client.empty_topic("t"), "POST /topic/empty?topic=t"),
    (lambda client: client.pause_topic("t"), "POST /topic/pause?topic=t"),
    (lambda client: client.unpause_topic("t"), "POST /topic/unpause?topic=t"),
    (lambda client: client.create_channel("t", "c"), "POST /channel/create?topic=t&channel=c"),
    (lambda client: client.delete_channel("t", "c"), "POST /channel/delete?topic=t&channel=c"),
    (lambda client: client.empty_channel("t", "c"), "POST /channel/empty?topic=t&channel=c"),
    (lambda client: client.pause_channel("t", "c"), "POST /channel/pause?topic=t&channel=c"),
    (lambda client: client.unpause_channel("t", "c"), "POST /channel/unpause?topic=t&channel=c"),
    (lambda client: client.stats(), "GET /stats?format=json"),
    (lambda client: client.stats("t", "c"), "GET /stats?format=json&topic=t&channel=c"),
    (lambda client: client.stats("t", text=True), "GET /stats?format=text&topic=t"),
    (lambda client: client.ping(), "GET /ping"),
    (lambda client: client.info(), "GET /info"),
]

LOOKUPD_CALLS: list[tuple[Callable[[LookupdClient], object], str]] = [
    (lambda client: client.lookup("t"), "GET /lookup?topic=t"),
    (lambda client: client.topics(), "GET /topics"),
    (lambda client: client.channels("t"), "GET /channels?topic=t"),
    (lambda client: client.nodes(), "GET /nodes"),
    (lambda client: client.create_topic("t"), "POST /topic/create?topic=t"),
    (lambda client: client.delete_topic("t"), "POST /topic/delete?topic=t"),
    (lambda client: client.create_channel("t", "c"), "POST /channel/create?topic=t&channel=c"),
    (lambda client: client.delete_channel("t", "c"), "POST /channel/delete?topic=t&channel=c"),
    (lambda client: client.tombstone_topic("t", "h:4151"), "POST /topic/tombstone?topic=t&node=h%3A4151"),
    (lambda client: client.ping(), "GET /ping"),
    (lambda client: client.info(), "GET /info"),
]


@pytest.mark.parametrize(("call", "line"), NSQD_CALLS)
def test_nsqd_is_asked(call: Any, line: str, server: Scripted, nsqd_client: NsqdHTTPClient) -> None:
    call(nsqd_client)
    assert [asked.line for asked in server.asked] == [f"{line} HTTP/1.1"]


@pytest.mark.parametrize(("call", "line"), LOOKUPD_CALLS)
def test_nsqlookupd_is_asked(call: Any, line: str, server: Scripted, lookupd: LookupdClient) -> None:
    call(lookupd)
    assert [asked.line for asked in server.asked] == [f"{line} HTTP/1.1"]


def test_bodies_are_sent_as_nsqd_reads_them(server: Scripted, nsqd_client: NsqdHTTPClient) -> None:
    nsqd_client.publish("t", "é\n")
    nsqd_client.multipublish("t", ["é", b"b"])
    nsqd_client.multipublish("t", ["é", b"\n"], binary=True)
    binary = b"\0\0\0\x02\0\0\0\x02\xc3\xa9\0\0\0\x01\n"
    assert [asked.body for asked in server.asked] == [b"\xc3\xa9\n", b"\xc3\xa9\nb", binary]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name_is_refused_before_anything_is_sent(
    name: Any, server: Scripted, nsqd_client: NsqdHTTPClient, lookupd: LookupdClient
) -> None:
    nsqd: Any = nsqd_client
    calls: list[Callable[[], object]] = [
        lambda: nsqd.publish(name, b"m"),
        lambda: nsqd.multipublish(name, [b"m"]),
        lambda: nsqd.stats(name),
        lambda: nsqd.stats("t", name),
        lambda: lookupd.lookup(name),
        lambda: lookupd.channels(name),
        lambda: lookupd.tombstone_topic(name, "h:1"),
    ]
    calls += [lambda f=f: f(name) for f in (lookupd.create_topic, lookupd.delete_topic)]  # type: ignore[misc]
    for verb in ("create", "delete", "empty", "pause", "unpause"):
        calls.append(lambda verb=verb: getattr(nsqd, f"{verb}_topic")(name))  # type: ignore[misc]
        calls.append(lambda verb=verb: getattr(nsqd, f"{verb}_channel")("t", name))  # type: ignore[misc]
        calls.append(lambda verb=verb: getattr(nsqd, f"{verb}_channel")(name, "c"))  # type: ignore[misc]
    for call in calls:
        with pytest.raises(ValueError, match="name of a"):
            call()
    assert server.asked == []


def test_a_request_says_who_asks_and_what_it_reads(server: Scripted) -> None:
    NsqdHTTPClient.from_url(server.url).ping()
    NsqdHTTPClient("127.0.0.1", server.port, "shop/1").ping()
    LookupdClient("127.0.0.1", server.port, useragent="shop/2").ping()
    agents = [asked.headers["user-agent"] for asked in server.asked]
    assert agents == [f"gnsq/{__version__}", "shop/1", "shop/2"]
    assert server.asked[0].headers["accept"] == "application/vnd.nsq; version=1.0"


def test_a_connection_is_used_again(server: Scripted, nsqd_client: NsqdHTTPClient) -> None:
    for _ in range(5):
        nsqd_client.ping()
    assert len({asked.client for asked in server.asked}) == 1


def test_what_an_old_server_wraps_is_unwrapped(
    server: Scripted, nsqd_client: NsqdHTTPClient, lookupd: LookupdClient
) -> None:
    server.answers(b'{"status_code":200,"status_txt":"OK","data":{"topics":["t"]}}')
    assert lookupd.topics() == {"topics": ["t"]}
    assert nsqd_client.stats() == {"topics": ["t"]}
    server.answers(b'{"status_code":200,"status_txt":"OK","data":null}')
    assert nsqd_client.create_topic("t") == b""
    assert lookupd.info() is None
    server.answers(b'{"status_code":200,"status_txt":"OK","data":"OK"}')
    assert nsqd_client.publish("t", b"m") == b"OK"


@pytest.mark.parametrize(
    ("status", "content_type", "content", "text"),
    [
        (200, "application/json", b'{"status_code":500,"status_txt":"INVALID_TOPIC","data":null}', "INVALID_TOPIC 500"),
        (500, "application/json", b'{"status_code":500,"status_txt":"INVALID_TOPIC","data":null}', "INVALID_TOPIC 500"),
        (404, "application/json", b'{"message":"NOT_FOUND"}', "NOT_FOUND 404"),
        (404, "application/json", b'{"message":""}', "http error 404"),
        (404, "application/json", b'{"message":5}', "http error 404"),
        (404, "application/json", b'["message"]', "http error 404"),
        (500, "text/plain; charset=utf-8", b"NOK - disk full\nmore", "NOK - disk full 500"),
        (500, "text/plain", b"", "http error 500"),
        (502, "text/html", b"<html>Bad gateway</html>", "http error 502"),
        (502, None, b"\xff\xfe", "http error 502"),
        (301, None, b"", "http error 301"),
        (201, "application/json", b"{}", "http error 201"),
    ],
)
def test_an_error_is_the_servers_word_and_the_status(
    status: int, content_type: str | None, content: bytes, text: str, server: Scripted, nsqd_client: NsqdHTTPClient
) -> None:
    server.answers(content, status, content_type)
    for call in (nsqd_client.ping, nsqd_client.info, lambda: nsqd_client.publish("t", b"m")):
        with pytest.raises(errors.NSQHttpError) as refused:
            call()
        assert str(refused.value) == text


def test_an_answer_that_is_no_json_comes_as_bytes(server: Scripted, nsqd_client: NsqdHTTPClient) -> None:
    server.answers(b"not JSON", content_type="text/plain")
    assert nsqd_client.info() == b"not JSON"
    server.answers(b"", content_type="application/json")
    assert nsqd_client.info() == b""
    server.answers(b'{"a": 1}', content_type=None)
    assert nsqd_client.info() == {"a": 1}
    assert nsqd_client.ping() == b'{"a": 1}'


def test_a_path_and_a_query_go_with_every_request(server: Scripted) -> None:
    client = LookupdClient.from_url(f"{server.url}/nsq/east?token=s3cret")
    client.lookup("t")
    assert server.asked[0].line == "GET /nsq/east/lookup?topic=t&token=s3cret HTTP/1.1"
    assert client.address == f"{server.url}/nsq/east/"
    server.answers(b"", 500)
    with pytest.raises(errors.NSQHttpError) as refused:
        client.ping()
    assert "s3cret" not in f"{client!r} {refused.value} {client.address}"


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = NsqdHTTPClient("127.0.0.1", silent.getsockname()[1], timeout=0.2)
        begun = time.monotonic()
        with pytest.raises(errors.NSQSocketError, match=r"0\.2|200ms") as passed:
            client.ping()
        assert 0.15 < time.monotonic() - begun < 20
        assert isinstance(passed.value, OSError)
        assert "timed out" in os.strerror(passed.value.errno or 0).lower()


def test_an_answer_that_breaks_off_is_told(spawn: Callable[..., Any]) -> None:
    if mode.NAME == "gevent":
        pytest.skip("the server would block the hub: sockets are not patched")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

        answering = spawn(answer)
        with pytest.raises(errors.NSQSocketError):
            NsqdHTTPClient("127.0.0.1", server.getsockname()[1]).ping()
        answering.result()


def test_an_address_is_told() -> None:
    assert NsqdHTTPClient().address == "http://localhost:4151/"
    assert LookupdClient().address == "http://localhost:4161/"
    client = LookupdClient.from_url("http://nsq.example:1")
    assert (client.scheme, client.host, client.port) == ("http", "nsq.example", 1)
    assert client.address == "http://nsq.example:1/"
    assert repr(client) == "<LookupdClient http://nsq.example:1/>"
    assert repr(NsqdHTTPClient("h", 2, scheme="https")) == "<NsqdHTTPClient https://h:2/>"
    client = LookupdClient.from_url("https://nsq.example")
    assert (client.scheme, client.port) == ("https", 443)
    assert LookupdClient.from_url("http://[::1]:4161/").address == "http://[::1]:4161/"


@pytest.mark.parametrize(
    "url", ["", "localhost:4161", "tcp://localhost:4161", "http://", "http://h:x", "http://h:70000", "http://h:0"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        LookupdClient.from_url(url)


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="password") as refused:
        LookupdClient.from_url("http://me:s3cret@h:1")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("host", ["", "a/b", "a b", "me@host", "a?b"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        NsqdHTTPClient(host)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        NsqdHTTPClient(colour="red")
    with pytest.raises(TypeError, match="colour"):
        NsqdHTTPClient(scheme="https", tls_options={"colour": "red"})
    with pytest.raises(ValueError, match="use https"):
        NsqdHTTPClient.from_url("http://h:1", ca_certs="ca.pem")
    with pytest.raises(ValueError, match="scheme"):
        NsqdHTTPClient(scheme="ftp")
    with pytest.raises(ValueError, match="timeout"):
        NsqdHTTPClient(timeout=-1)


def test_it_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="NsqdHTTPClient can't be pickled"):
        pickle.dumps(NsqdHTTPClient())


def test_a_subclass_adds_what_it_likes(server: Scripted) -> None:
    class Mine(NsqdHTTPClient):
        def __init__(self, *args: Any, **kw: Any) -> None:
            super().__init__(*args, **kw)
            self.count = 0

        def publish(self, *args: Any, **kw: Any) -> bytes:
            self.count += 1
            return super().publish(*args, **kw)

    client = Mine.from_url(server.url)
    client.publish("t", b"m")
    assert (client.count, len(server.asked)) == (1, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(server: Scripted, nsqd_client: NsqdHTTPClient) -> None:
    server.answers(b"OK", content_type="text/plain")
    assert nsqd_client.ping() == b"OK"
    child = os.fork()
    if child == 0:
        answer = nsqd_client.ping()
        os._exit(0 if answer == b"OK" else 1)
    import threading

    ended: list[int] = []
    waiting = threading.Thread(target=lambda: ended.append(os.waitpid(child, 0)[1]))
    waiting.start()
    waiting.join(60)
    assert ended == [0]
    assert nsqd_client.ping() == b"OK"


@pytest.mark.skipif(not mode.IS_GEVENT, reason="needs gevent's hub")
def test_a_server_in_the_same_thread_goes_on_while_the_client_waits() -> None:
    import gevent
    from gevent.pywsgi import WSGIServer

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        gevent.sleep(0.01)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"topics": ["' + environ["PATH_INFO"].encode() + b'"]}']

    server = WSGIServer(("127.0.0.1", 0), answer, log=None)
    server.start()
    try:
        client = LookupdClient("127.0.0.1", server.server_port, timeout=20)
        asking = [gevent.spawn(client.topics) for _ in range(100)]
        gevent.joinall(asking, timeout=60, raise_error=True)
        assert [greenlet.value for greenlet in asking] == [{"topics": ["/topics"]}] * 100
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
            LookupdClient("127.0.0.1", silent.getsockname()[1]).topics()
    finally:
        server.stop()
