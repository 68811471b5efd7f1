"""What becomes of messages that have been tried too often: connect one of these to ``on_giving_up``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from itertools import count
from typing import Any, Callable

from .. import protocol
from ._types import Message

__all__ = ["JSONLogGiveupHandler", "LogGiveupHandler", "NsqdGiveupHandler"]


class LogGiveupHandler:
    """Writes the bodies of messages, each as a line.

    ::

        consumer.on_giving_up.connect(LogGiveupHandler(log=logger.warning, newline=""), weak=False)

    Bytes of a body that are no UTF-8 are written as ``\\xff``. To have bodies as they are, override
    :meth:`format_message` to return ``message.body``, for a ``log`` that takes bytes.
    """

    def __init__(self, log: Callable[[Any], object] | None = None, newline: str = "\n") -> None:
        """``log`` is called once for each message; by default it is ``sys.stdout.write``. ``newline`` ends a line."""
        self._log = log
        self.newline = newline

    def __call__(self, consumer: object, message: Message) -> None:
        """Writes the message. The receiver of ``on_giving_up``."""
        line = self.format_message(message)
        log = sys.stdout.write if self._log is None else self._log
        log(line + (self.newline.encode() if isinstance(line, bytes) else self.newline))

    def format_message(self, message: Message) -> Any:
        """The message as it is written: str, or bytes if ``log`` takes them."""
        return message.body.decode(errors="backslashreplace")


class JSONLogGiveupHandler(LogGiveupHandler):
    """Writes messages as JSON, one object a line: ``timestamp`` (ns), ``attempts``, ``id`` and ``body``.

    Bytes of a body that are no UTF-8 become surrogates, from which Python makes them again::

        json.loads(line)["body"].encode(errors="surrogateescape")
    """

    def format_message(self, message: Message) -> Any:
        """The message as JSON."""
        return json.dumps(
            {
                "timestamp": message.timestamp,
                "attempts": message.attempts,
                "id": message.id.decode(errors="surrogateescape"),
                "body": message.body.decode(errors="surrogateescape"),
            }
        )


class NsqdGiveupHandler:
    """Publishes messages to another topic.

    ::

        consumer.on_giving_up.connect(NsqdGiveupHandler("dead_letters", ["nsqd-1", "nsqd-2:4151"]), weak=False)
    """

    def __init__(
        self,
        topic: str,
        nsqd_hosts: str | Iterable[str] = ("localhost",),
        nsqd_class: Callable[..., Any] | None = None,
    ) -> None:
        """Makes a client for each nsqd.

        :param nsqd_hosts: where they are: ``"host"``, ``"host:port"`` or ``"http[s]://host:port"``
        :param nsqd_class: makes a client, called with the host and maybe the port, or its ``from_url`` with a URL; by
            default :class:`gnsq.NsqdHTTPClient`
        :raises ValueError: for a bad topic, or no hosts
        """
        protocol.assert_valid_topic_name(topic)
        if nsqd_class is None:
            from .._nsqd_http import NsqdHTTPClient

            nsqd_class = NsqdHTTPClient
        hosts = [nsqd_hosts] if isinstance(nsqd_hosts, str) else list(nsqd_hosts)
        if not hosts:
            raise ValueError("nsqd_hosts must have a host")
        self.topic = topic
        self.nsqds = [_client(nsqd_class, host) for host in hosts]
        self._turns = count()

    def __call__(self, consumer: object, message: Message) -> None:
        """Publishes the message to the next nsqd, or to another one if that fails. The receiver of ``on_giving_up``.

        :raises Exception: that of the last nsqd, if all have failed
        """
        data = self.format_message(message)
        first = next(self._turns)
        for turn in range(len(self.nsqds)):
            try:
                self.nsqds[(first + turn) % len(self.nsqds)].publish(self.topic, data)
            except Exception:
                if turn == len(self.nsqds) - 1:
                    raise
            else:
                return

    def format_message(self, message: Message) -> Any:
        """What is published: by default the body."""
        return message.body


def _client(nsqd_class: Any, address: str) -> Any:
    if address.startswith(("http://", "https://")):
        return nsqd_class.from_url(address)
    host, colon, port = address.rpartition(":")
    # What ends an address of IPv6 without brackets is no port.
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return nsqd_class(host, int(port))
    return nsqd_class(address)
