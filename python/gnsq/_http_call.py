"""Requests to an HTTP API of NSQ and what their answers mean, apart from how one waits for an answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable, Generic, TypeVar, Union

from .errors import NSQHttpError
from .protocol import assert_valid_channel_name, assert_valid_topic_name

#: What a name may be given as.
Name = Union[str, bytes]

#: What the body of a message may be given as; a str is UTF-8.
Data = Union[str, bytes, bytearray, memoryview]

#: An answer: its status, its content type, and its body.
Answer = tuple[int, Union[str, None], bytes]

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    query: list[tuple[str, str]]
    body: bytes
    parse: Callable[[Answer], T]


def get(path: str, *query: tuple[str, str]) -> Call[Any]:
    """Asks for JSON, which comes parsed."""
    return Call("GET", path, [*query], b"", _json)


def get_bytes(path: str, *query: tuple[str, str]) -> Call[bytes]:
    """Asks for what comes as it is."""
    return Call("GET", path, [*query], b"", _bytes)


def post(path: str, *query: tuple[str, str], body: bytes = b"") -> Call[bytes]:
    """Has something done."""
    return Call("POST", path, [*query], body, _bytes)


def topic_parameter(topic: Name) -> tuple[str, str]:
    """The parameter that names a topic.

    :raises ValueError: for a bad name
    """
    assert_valid_topic_name(topic)
    return "topic", _text(topic)


def channel_parameter(channel: Name) -> tuple[str, str]:
    """The parameter that names a channel.

    :raises ValueError: for a bad name
    """
    assert_valid_channel_name(channel)
    return "channel", _text(channel)


def ping() -> Call[bytes]:
    """Whether the server is there and well."""
    return get_bytes("/ping")


def info() -> Call[Any]:
    """What the server tells of itself."""
    return get("/info")


def change(path: str, topic: Name, channel: Name | None = None) -> Call[bytes]:
    """Does something to a topic, or to a channel."""
    names = [topic_parameter(topic)]
    if channel is not None:
        names.append(channel_parameter(channel))
    return post(path, *names)


def body(data: Data) -> bytes:
    """The bytes of a message.

    :raises TypeError: for what has none
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"the body of a message must be bytes or a str, and is {type(data).__name__}")


def bodies(messages: Iterable[Data]) -> list[bytes]:
    """The bytes of each message.

    :raises TypeError: for one that has none, and for a single message
    """
    if isinstance(messages, (str, bytes, bytearray, memoryview)):
        raise TypeError("messages must be several, as in a list; publish takes one")
    return [body(message) for message in messages]


def _json(answer: Answer) -> Any:
    """The JSON that an answer is, or its bytes if it is none."""
    parsed, _ = _checked(answer)
    return answer[2] if parsed is _NONE else parsed


def _bytes(answer: Answer) -> bytes:
    """The answer as it is; a wrapped one as it would have been without."""
    parsed, wrapped = _checked(answer)
    if wrapped and parsed is None:
        return b""
    return parsed.encode() if wrapped and isinstance(parsed, str) else answer[2]


def _checked(answer: Answer) -> tuple[Any, bool]:
    """The JSON in an answer, `_NONE` if it is none, and whether it was wrapped as by servers before 1.0.

    :raises NSQHttpError: for any status but 200
    """
    status, content_type, content = answer
    parsed = _loads(content)
    if status != 200:
        raise NSQHttpError(f"{_reason(parsed, content_type, content)} {status}")
    if not (isinstance(parsed, dict) and "status_code" in parsed and "data" in parsed):
        return parsed, False
    if parsed["status_code"] != 200:
        raise NSQHttpError(f"{_reason(parsed, content_type, content)} {parsed['status_code']}")
    return parsed["data"], True


def _reason(parsed: Any, content_type: str | None, content: bytes) -> str:
    """NSQ's word for what went wrong: `message`, `status_txt` of servers before 1.0, or a line of text."""
    if isinstance(parsed, dict):
        for key in ("status_txt", "message"):
            if isinstance(parsed.get(key), str) and parsed[key]:
                return str(parsed[key])
    if content_type is not None and content_type.startswith("text/plain"):
        line = content.decode(errors="replace").strip().partition("\n")[0]
        return line[:_MAX_SHOWN] or _UNKNOWN
    return _UNKNOWN


def _loads(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return _NONE


def _text(name: Name) -> str:
    return name.decode("ascii") if isinstance(name, bytes) else name


#: What no JSON is.
_NONE: Any = object()

_UNKNOWN = "http error"

#: Of what a stranger has sent, in characters.
_MAX_SHOWN = 200
