"""`gnsq.protocol`: the bytes, as they are written out here by hand."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import pytest

import gnsq
from gnsq import protocol
from gnsq.errors import NSQFrameError

NAMES = ["a", "topic", "A.b_c-9", "t" * 64, "events#ephemeral", "e" * 54 + "#ephemeral"]

NO_NAMES = [
    *("", "a b", "a\n", "events#ephemeral\n", "ä", "a/b"),
    *("t" * 65, "e" * 55 + "#ephemeral", "#ephemeral", "a#other"),
]


def test_the_protocol_is_there_after_a_plain_import() -> None:
    assert gnsq.protocol is protocol


def test_constants_are_those_of_the_wire() -> None:
    assert (protocol.MAGIC_V2, protocol.OK, protocol.HEARTBEAT) == (b"  V2", b"OK", b"_heartbeat_")
    types = (protocol.FRAME_TYPE_RESPONSE, protocol.FRAME_TYPE_ERROR, protocol.FRAME_TYPE_MESSAGE)
    assert types == (0, 1, 2)


@pytest.mark.parametrize(
    "word", ["AUTH", "CLS", "DPUB", "FIN", "IDENTIFY", "MPUB", "NOP", "PUB", "RDY", "REQ", "SUB", "TOUCH"]
)
def test_each_command_has_its_word(word: str) -> None:
    assert getattr(protocol, word) == word.encode()


@pytest.mark.parametrize("name", [*NAMES, b"topic", b"events#ephemeral"])
def test_valid_names(name: Any) -> None:
    assert protocol.valid_topic_name(name) is True
    assert protocol.valid_channel_name(name) is True
    protocol.assert_valid_topic_name(name)
    protocol.assert_valid_channel_name(name)


@pytest.mark.parametrize("name", [*NO_NAMES, b"a b", b"a\xff", None, 5])
def test_invalid_names(name: Any) -> None:
    assert protocol.valid_topic_name(name) is False
    assert protocol.valid_channel_name(name) is False
    with pytest.raises(ValueError, match="topic"):
        protocol.assert_valid_topic_name(name)
    with pytest.raises(ValueError, match="channel"):
        protocol.assert_valid_channel_name(name)


def test_a_size_is_four_bytes() -> None:
    assert protocol.unpack_size(b"\x00\x00\x01\x02") == 258
    assert protocol.unpack_size(b"\xff\xff\xff\xff") == -1


def test_a_frame_has_a_type_and_data() -> None:
    assert protocol.unpack_response(b"\x00\x00\x00\x00OK") == (0, b"OK")
    assert protocol.unpack_response(b"\x00\x00\x00\x01E_INVALID") == (1, b"E_INVALID")
    assert protocol.unpack_response(b"\x00\x00\x00\x07") == (7, b"")


def test_a_message_has_timestamp_attempts_id_and_body() -> None:
    data = b"\x00\x00\x00\x00\x00\x00\x01\x00" + b"\x00\x03" + b"0123456789abcdef" + b"body\xff"
    assert protocol.unpack_message(data) == (256, 3, b"0123456789abcdef", b"body\xff")
    assert protocol.unpack_message(data[:26])[3] == b""


@pytest.mark.parametrize(
    ("unpack", "data"),
    [
        (protocol.unpack_size, b""),
        (protocol.unpack_size, b"\x00" * 5),
        (protocol.unpack_response, b"\x00\x00\x00"),
        (protocol.unpack_message, b"\x00" * 25),
    ],
)
def test_too_few_bytes_are_a_frame_error(unpack: Any, data: bytes) -> None:
    with pytest.raises(NSQFrameError):
        unpack(data)


@pytest.mark.parametrize(
    ("built", "wire"),
    [
        (protocol.identify({"a": 1}), b'IDENTIFY\n\x00\x00\x00\x08{"a": 1}'),
        (protocol.auth(b"secret"), b"AUTH\n\x00\x00\x00\x06secret"),
        (protocol.subscribe("topic", "channel"), b"SUB topic channel\n"),
        (protocol.subscribe(b"topic", b"channel"), b"SUB topic channel\n"),
        (protocol.publish("topic", b"abc"), b"PUB topic\n\x00\x00\x00\x03abc"),
        (protocol.publish("topic", b""), b"PUB topic\n\x00\x00\x00\x00"),
        (
            protocol.multipublish("topic", [b"a", b"bc"]),
            b"MPUB topic\n\x00\x00\x00\x0f\x00\x00\x00\x02\x00\x00\x00\x01a\x00\x00\x00\x02bc",
        ),
        (protocol.multipublish_body([b"a"]), b"\x00\x00\x00\x01\x00\x00\x00\x01a"),
        (protocol.multipublish_body(iter([])), b"\x00\x00\x00\x00"),
        (protocol.deferpublish("topic", b"abc", 1500), b"DPUB topic 1500\n\x00\x00\x00\x03abc"),
        (protocol.ready(0), b"RDY 0\n"),
        (protocol.ready(2500), b"RDY 2500\n"),
        (protocol.finish(b"0123456789abcdef"), b"FIN 0123456789abcdef\n"),
        (protocol.finish("0123456789abcdef"), b"FIN 0123456789abcdef\n"),
        (protocol.requeue(b"0123456789abcdef"), b"REQ 0123456789abcdef 0\n"),
        (protocol.requeue(b"0123456789abcdef", 60), b"REQ 0123456789abcdef 60\n"),
        (protocol.touch(b"0123456789abcdef"), b"TOUCH 0123456789abcdef\n"),
        (protocol.close(), b"CLS\n"),
        (protocol.nop(), b"NOP\n"),
    ],
)
def test_a_command_is_these_bytes(built: bytes, wire: bytes) -> None:
    assert built == wire


def test_identify_is_json_as_python_writes_it() -> None:
    data = OrderedDict([("z", "ü"), ("a", [1.5, None, True])])
    text = json.dumps(data).encode()
    assert text == b'{"z": "\\u00fc", "a": [1.5, null, true]}'
    assert protocol.identify(data) == b"IDENTIFY\n\x00\x00\x00" + bytes([len(text)]) + text


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_command_with_a_bad_name_is_not_built(name: str) -> None:
    for build in (
        lambda: protocol.subscribe(name, "channel"),
        lambda: protocol.subscribe("topic", name),
        lambda: protocol.publish(name, b"body"),
        lambda: protocol.multipublish(name, [b"body"]),
        lambda: protocol.deferpublish(name, b"body", 1),
    ):
        with pytest.raises(ValueError, match="is no name of a"):
            build()


@pytest.mark.parametrize("body", ["text", None, 5, ["list"], bytearray(b"bytes")])
def test_a_body_must_be_bytes(body: Any) -> None:
    for build in (
        lambda: protocol.publish("topic", body),
        lambda: protocol.deferpublish("topic", body, 1),
        lambda: protocol.multipublish("topic", [b"first", body]),
        lambda: protocol.multipublish_body([body]),
        lambda: protocol.auth(body),
    ):
        with pytest.raises(TypeError, match="must be bytes"):
            build()


@pytest.mark.parametrize("messages", ["text", b"bytes", None])
def test_many_messages_are_no_single_body(messages: Any) -> None:
    with pytest.raises(TypeError):
        protocol.multipublish("topic", messages)


@pytest.mark.parametrize("number", [None, "1", 1.0, b"1"])
def test_a_number_must_be_an_int(number: Any) -> None:
    for build in (
        lambda: protocol.ready(number),
        lambda: protocol.requeue(b"0123456789abcdef", number),
        lambda: protocol.deferpublish("topic", b"body", number),
    ):
        with pytest.raises(TypeError, match="must be an int"):
            build()


def test_a_ready_count_is_not_negative() -> None:
    with pytest.raises(ValueError, match="negative"):
        protocol.ready(-1)
