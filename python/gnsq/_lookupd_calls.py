"""What an nsqlookupd's HTTP API can be asked."""

from __future__ import annotations

from typing import Any

from ._http_call import Call, Name, get, post, topic_parameter


def lookup(topic: Name) -> Call[Any]:
    """Who has a topic."""
    return get("/lookup", topic_parameter(topic))


def topics() -> Call[Any]:
    """All topics."""
    return get("/topics")


def channels(topic: Name) -> Call[Any]:
    """A topic's channels."""
    return get("/channels", topic_parameter(topic))


def nodes() -> Call[Any]:
    """All nsqds."""
    return get("/nodes")


def tombstone_topic(topic: Name, node: str) -> Call[bytes]:
    """Hides an nsqd, `host:http_port`, from lookups of a topic."""
    return post("/topic/tombstone", topic_parameter(topic), ("node", node))
