"""What an nsqd's HTTP API can be asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import protocol
from ._http_call import Call, Data, Name, bodies, body, channel_parameter, get, get_bytes, post, topic_parameter
from .errors import NSQException


def publish(topic: Name, data: Data, defer: int | None = None) -> Call[bytes]:
    """Publishes a message, `defer` in ms."""
    query = [topic_parameter(topic)]
    if defer is not None:
        query.append(("defer", str(int(defer))))
    return post("/pub", *query, body=body(data))


def multipublish(topic: Name, messages: Iterable[Data], binary: bool = False) -> Call[bytes]:
    """Publishes messages: a line each, or with their sizes before them."""
    query = topic_parameter(topic)
    given = bodies(messages)
    if binary:
        return post("/mpub", query, ("binary", "true"), body=protocol.multipublish_body(given))
    for index, message in enumerate(given):
        if b"\n" in message:
            raise NSQException(f"message {index} has a newline in it, which would divide it: use binary=True")
        if not message:
            raise NSQException(f"message {index} is empty, and nsqd would drop it without a word")
    return post("/mpub", query, body=b"\n".join(given))


def stats(topic: Name | None = None, channel: Name | None = None) -> Call[Any]:
    """The statistics, of everything or of a topic or channel."""
    return get("/stats", ("format", "json"), *_chosen(topic, channel))


def stats_text(topic: Name | None = None, channel: Name | None = None) -> Call[bytes]:
    """The statistics as text, for people."""
    return get_bytes("/stats", ("format", "text"), *_chosen(topic, channel))


def _chosen(topic: Name | None, channel: Name | None) -> Iterable[tuple[str, str]]:
    if topic is not None:
        yield topic_parameter(topic)
    if channel is not None:
        yield channel_parameter(channel)
