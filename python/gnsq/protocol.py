"""The bytes of NSQ's protocol: its words, the commands of a client, and the frames of nsqd.

Nothing here does any I/O::

    >>> publish("events", b"hello")
    b'PUB events\\n\\x00\\x00\\x00\\x05hello'
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import NSQFrameError

#: What a client says first.
MAGIC_V2 = b"  V2"

#: nsqd's answer to a command that went well.
OK = b"OK"

#: What nsqd sends now and then, and wants to be answered with any command.
HEARTBEAT = b"_heartbeat_"

#: nsqd's answer to :func:`close`.
CLOSE_WAIT = b"CLOSE_WAIT"

#: A frame that answers a command, or is a heartbeat.
FRAME_TYPE_RESPONSE = 0

#: A frame that tells an error.
FRAME_TYPE_ERROR = 1

#: A frame with a message.
FRAME_TYPE_MESSAGE = 2

# The words of the commands.
AUTH = b"AUTH"
CLS = b"CLS"
DPUB = b"DPUB"
FIN = b"FIN"
IDENTIFY = b"IDENTIFY"
MPUB = b"MPUB"
NOP = b"NOP"
PUB = b"PUB"
RDY = b"RDY"
REQ = b"REQ"
SUB = b"SUB"
TOUCH = b"TOUCH"

_NAME = re.compile(r"[.a-zA-Z0-9_-]+(#ephemeral)?")

#: The longest name, `#ephemeral` included.
_MAX_NAME = 64

_SIZE = struct.Struct(">i")

# Nanoseconds since 1970, how often it was handed out, and its id.
_MESSAGE = struct.Struct(">qH16s")


def valid_topic_name(topic_name: str | bytes) -> bool:
    """Whether nsqd takes it for the name of a topic: 1 to 64 of ``.a-zA-Z0-9_-``, a last ``#ephemeral`` included."""
    if isinstance(topic_name, bytes):
        topic_name = topic_name.decode("ascii", "replace")
    return isinstance(topic_name, str) and len(topic_name) <= _MAX_NAME and bool(_NAME.fullmatch(topic_name))


def valid_channel_name(channel_name: str | bytes) -> bool:
    """Whether nsqd takes it for the name of a channel: the rules are those of topics."""
    return valid_topic_name(channel_name)


def assert_valid_topic_name(topic_name: str | bytes) -> None:
    """Refuses what is no name of a topic.

    :raises ValueError: for any other
    """
    if not valid_topic_name(topic_name):
        raise ValueError(f"{topic_name!r} is no name of a topic: {_RULE}")


def assert_valid_channel_name(channel_name: str | bytes) -> None:
    """Refuses what is no name of a channel.

    :raises ValueError: for any other
    """
    if not valid_channel_name(channel_name):
        raise ValueError(f"{channel_name!r} is no name of a channel: {_RULE}")


_RULE = "it must be 1 to 64 letters, digits, '.', '_' or '-', and may end with '#ephemeral'"


def unpack_size(data: bytes) -> int:
    """How many bytes the frame has that follows these four.

    :raises NSQFrameError: unless there are four
    """
    if len(data) != _SIZE.size:
        raise NSQFrameError(f"the size of a frame has 4 bytes, and these are {len(data)}")
    (size,) = _SIZE.unpack(data)
    return int(size)


def unpack_response(data: bytes) -> tuple[int, bytes]:
    """The type of a frame (``FRAME_TYPE_…``, or one that is unknown) and what it carries.

    :raises NSQFrameError: for too few bytes
    """
    if len(data) < _SIZE.size:
        raise NSQFrameError(f"a frame has at least 4 bytes, and this has {len(data)}")
    (frame_type,) = _SIZE.unpack_from(data)
    return int(frame_type), data[_SIZE.size :]


def unpack_message(data: bytes) -> tuple[int, int, bytes, bytes]:
    """What a frame with a message carries: its timestamp (ns since 1970), attempts, id and body.

    :raises NSQFrameError: for too few bytes
    """
    if len(data) < _MESSAGE.size:
        raise NSQFrameError(f"a message has at least {_MESSAGE.size} bytes, and this has {len(data)}")
    timestamp, attempts, message_id = _MESSAGE.unpack_from(data)
    return timestamp, attempts, message_id, data[_MESSAGE.size :]


def identify(data: Mapping[str, Any]) -> bytes:
    """Who the client is and what it can do; sent as JSON. nsqd answers with ``OK``, or JSON where features are
    negotiated."""
    return _command(IDENTIFY) + _sized(json.dumps(data).encode())


def auth(secret: bytes) -> bytes:
    """Shows nsqd a secret; it answers with what that allows, as JSON."""
    return _command(AUTH) + _sized(secret)


def subscribe(topic_name: str | bytes, channel_name: str | bytes) -> bytes:
    """Asks for the messages of a channel; nsqd answers ``OK``, and sends them after :func:`ready`.

    :raises ValueError: for a bad name
    """
    assert_valid_topic_name(topic_name)
    assert_valid_channel_name(channel_name)
    return _command(SUB, topic_name, channel_name)


def publish(topic_name: str | bytes, data: bytes) -> bytes:
    """Publishes one message; nsqd answers ``OK``.

    :raises ValueError: for a bad name
    :raises TypeError: unless the body is bytes
    """
    assert_valid_topic_name(topic_name)
    return _command(PUB, topic_name) + _sized(data)


def multipublish(topic_name: str | bytes, messages: Iterable[bytes]) -> bytes:
    """Publishes many messages at once; nsqd answers ``OK``.

    :raises ValueError: for a bad name
    :raises TypeError: unless each body is bytes
    """
    assert_valid_topic_name(topic_name)
    return _command(MPUB, topic_name) + _sized(multipublish_body(messages))


def multipublish_body(messages: Iterable[bytes]) -> bytes:
    """Many messages as :func:`multipublish` carries them, and the HTTP API's ``/mpub?binary=true``.

    :raises TypeError: unless each body is bytes
    """
    bodies = [_sized(message) for message in messages]
    return _SIZE.pack(len(bodies)) + b"".join(bodies)


def deferpublish(topic_name: str | bytes, data: bytes, delay_ms: int) -> bytes:
    """Publishes one message that is handed out only after ``delay_ms`` milliseconds; nsqd answers ``OK``.

    :raises ValueError: for a bad name
    :raises TypeError: unless the body is bytes and the delay an int
    """
    assert_valid_topic_name(topic_name)
    return _command(DPUB, topic_name, _number("delay_ms", delay_ms)) + _sized(data)


def ready(count: int) -> bytes:
    """Tells how many messages may be in flight to this client. nsqd doesn't answer.

    :raises TypeError: unless it is an int
    :raises ValueError: if it is negative
    """
    number = _number("the ready count", count)
    if count < 0:
        raise ValueError(f"the ready count can't be negative, and it is {count}")
    return _command(RDY, number)


def finish(message_id: str | bytes) -> bytes:
    """The message has been handled. nsqd doesn't answer."""
    return _command(FIN, message_id)


def requeue(message_id: str | bytes, timeout: int = 0) -> bytes:
    """The message has not been handled, and is to come again in ``timeout`` milliseconds. nsqd doesn't answer.

    :raises TypeError: unless the timeout is an int
    """
    return _command(REQ, message_id, _number("timeout", timeout))


def touch(message_id: str | bytes) -> bytes:
    """The message is still being handled: its time starts anew. nsqd doesn't answer."""
    return _command(TOUCH, message_id)


def close() -> bytes:
    """No more messages are wanted; nsqd answers ``CLOSE_WAIT``."""
    return _command(CLS)


def nop() -> bytes:
    """Nothing, which is what a heartbeat is answered with."""
    return _command(NOP)


def _command(word: bytes, *parameters: str | bytes) -> bytes:
    given = (parameter.encode() if isinstance(parameter, str) else parameter for parameter in parameters)
    return b" ".join((word, *given)) + b"\n"


def _sized(body: bytes) -> bytes:
    if not isinstance(body, bytes):
        raise TypeError(f"a body must be bytes, and this is {type(body).__name__}")
    return _SIZE.pack(len(body)) + body


def _number(name: str, number: int) -> bytes:
    if not isinstance(number, int):
        raise TypeError(f"{name} must be an int, and is {type(number).__name__}")
    return b"%d" % number
