"""`gnsq.contrib.giveup`: what becomes of messages that are given up."""

from __future__ import annotations

import io
import json
from typing import Any, Callable

import pytest
from support.fakes import FakeConsumer, FakeMessage

from gnsq._nsqd_http import NsqdHTTPClient
from gnsq.contrib.giveup import JSONLogGiveupHandler, LogGiveupHandler, NsqdGiveupHandler

#: Every byte there is.
BYTES = bytes(range(256))


class FakeNsqd:
    """Keeps what is published."""

    def __init__(self, host: str, port: int | None = None) -> None:
        self.place = (host, port)
        self.published: list[tuple[str, bytes]] = []
        self.fails = False

    def publish(self, topic: str, data: bytes) -> None:
        if self.fails:
            raise OSError("it is down")
        self.published.append((topic, data))


def give_up(handler: Any, *bodies: bytes) -> None:
    for body in bodies:
        handler(FakeConsumer(), message=FakeMessage(body))


def test_bodies_are_written_to_the_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    give_up(LogGiveupHandler(), b"one", "zwölf".encode())
    assert capsys.readouterr().out == "one\nzwölf\n"


def test_a_line_is_one_call_of_the_log() -> None:
    lines: list[str] = []
    give_up(LogGiveupHandler(log=lines.append), b"one", b"two")
    give_up(LogGiveupHandler(lines.append, "\r\n"), b"three")
    give_up(LogGiveupHandler(lines.append, newline=""), b"four")
    assert lines == ["one\n", "two\n", "three\r\n", "four"]


def test_a_body_that_is_no_utf8_can_be_written_anywhere() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    give_up(LogGiveupHandler(log=out.write), BYTES, b"plain")
    out.seek(0)
    text = out.read()
    assert "\\x80\\x81" in text and "\\xff" in text
    assert text.endswith("plain\n")


def test_a_message_may_be_formatted_otherwise() -> None:
    class Handler(LogGiveupHandler):
        def format_message(self, message: Any) -> str:
            return f"{message.attempts} attempts"

    lines: list[str] = []
    give_up(Handler(lines.append), b"body")
    assert lines == ["6 attempts\n"]


def test_bytes_may_be_written_as_they_are() -> None:
    class Handler(LogGiveupHandler):
        def format_message(self, message: Any) -> bytes:
            return bytes(message.body)

    out = io.BytesIO()
    give_up(Handler(out.write), BYTES)
    assert out.getvalue() == BYTES + b"\n"


@pytest.mark.parametrize("body", [b"plain", b"", "zwölf \n € 𝄞".encode(), BYTES, b'"\\'])
def test_json_has_the_message_as_one_object_a_line(body: bytes) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict", newline="")
    message = FakeMessage(body)
    JSONLogGiveupHandler(log=out.write)(FakeConsumer(), message=message)
    out.seek(0)
    (line,) = out.read().splitlines()
    given = json.loads(line)
    assert set(given) == {"timestamp", "attempts", "id", "body"}
    assert (given["timestamp"], given["attempts"]) == (message.timestamp, message.attempts)
    assert given["id"].encode() == message.id
    assert given["body"].encode(errors="surrogateescape") == body


def test_messages_are_published_in_turn() -> None:
    handler = NsqdGiveupHandler("dead", nsqd_hosts=["a", "b:4251"], nsqd_class=FakeNsqd)
    assert [nsqd.place for nsqd in handler.nsqds] == [("a", None), ("b", 4251)]
    give_up(handler, b"1", b"2", BYTES)
    assert handler.nsqds[0].published == [("dead", b"1"), ("dead", BYTES)]
    assert handler.nsqds[1].published == [("dead", b"2")]


def test_one_host_may_be_given_alone() -> None:
    handler = NsqdGiveupHandler("dead", "a", FakeNsqd)
    assert [nsqd.place for nsqd in handler.nsqds] == [("a", None)]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("a", "http://a:4151/"),
        ("a:1", "http://a:1/"),
        ("[::1]", "http://[::1]:4151/"),
        ("::1", "http://[::1]:4151/"),
        ("[::1]:1", "http://[::1]:1/"),
        ("https://a:1", "https://a:1/"),
    ],
)
def test_nsqds_are_asked_over_http_by_default(host: str, address: str) -> None:
    (nsqd,) = NsqdGiveupHandler("dead", [host]).nsqds
    assert type(nsqd) is NsqdHTTPClient
    assert nsqd.address == address


def test_the_host_is_this_one_by_default() -> None:
    assert [nsqd.address for nsqd in NsqdGiveupHandler("dead").nsqds] == ["http://localhost:4151/"]


def test_nsqd_gets_messages_as_they_were(nsqd: Any, topic: str, eventually: Callable[..., Any]) -> None:
    handler = NsqdGiveupHandler(topic, [nsqd.http_address])
    give_up(handler, BYTES, b"2")
    assert nsqd.stats(topic)["message_count"] == 2
    assert nsqd.stats(topic)["message_bytes"] == 257


def test_an_nsqd_that_is_down_is_passed_over() -> None:
    handler = NsqdGiveupHandler("dead", ["a", "b", "c"], FakeNsqd)
    handler.nsqds[0].fails = True
    give_up(handler, b"1", b"2")
    assert handler.nsqds[1].published == [("dead", b"1"), ("dead", b"2")]


def test_a_message_that_nobody_takes_raises() -> None:
    handler = NsqdGiveupHandler("dead", ["a", "b"], FakeNsqd)
    for nsqd in handler.nsqds:
        nsqd.fails = True
    with pytest.raises(OSError, match="it is down"):
        give_up(handler, b"1")


def test_what_is_published_may_be_formatted() -> None:
    class Handler(NsqdGiveupHandler):
        def format_message(self, message: Any) -> bytes:
            return b"given up: " + bytes(message.body)

    handler = Handler("dead", ["a"], FakeNsqd)
    give_up(handler, b"1")
    assert handler.nsqds[0].published == [("dead", b"given up: 1")]


def test_a_bad_topic_or_no_host_is_refused() -> None:
    with pytest.raises(ValueError, match="topic"):
        NsqdGiveupHandler("no topic", ["a"], FakeNsqd)
    with pytest.raises(ValueError, match="nsqd_hosts"):
        NsqdGiveupHandler("dead", [], FakeNsqd)
