"""The consumer of old programs, which publishes as well."""

from __future__ import annotations

import os
import random
import warnings
from threading import Lock
from typing import Any

from ._core import Message
from .consumer import Consumer
from .errors import NSQNoConnections
from .producer import Producer

__all__ = ["Reader"]


class Reader(Consumer):
    """A :class:`gnsq.Consumer` with more options. Deprecated: use that, and a :class:`gnsq.Producer` to publish.

    :param async: given as ``**{"async": True}`` or ``is_async=True``: every message is answered by the program, since
        its handler returns before the work is done
    :param max_concurrency: how many handlers run at once, whatever nsqd their messages come from; -1: as many as this
        machine has CPUs; 0: one for each nsqd
    """

    def __init__(self, *args: Any, max_concurrency: int = 0, is_async: bool = False, **kwargs: Any) -> None:
        warnings.warn("Reader is deprecated: use Consumer, and Producer to publish", DeprecationWarning, stacklevel=2)
        #: Whether every message is async.
        self.is_async = bool(kwargs.pop("async", is_async))
        #: How many handlers run at once; 0: one for each nsqd.
        self.max_concurrency = (os.cpu_count() or 1) if max_concurrency == -1 else max_concurrency
        if self.max_concurrency < 0:
            raise ValueError("max_concurrency must be -1, 0 or a number of handlers")
        self._calls_directly = not self.is_async
        self._producers: dict[str, Producer] = {}
        self._producers_lock = Lock()
        super().__init__(*args, **kwargs)

    def publish(self, topic: str, message: Any) -> None:
        """Publishes to one of the nsqds that are connected; waits for its answer.

        :raises NSQNoConnections: when none is connected
        """
        connected = [] if self._native is None else self._native.connected()
        if not connected:
            raise NSQNoConnections(f"{self.name} is connected to no nsqd that could be published to")
        self._producer(random.choice(connected)).publish(topic, message)

    def _producer(self, nsqd: str) -> Producer:
        producer = self._producers.get(nsqd)
        if producer is not None:
            return producer
        made = Producer(nsqd, **self._connection_options)
        made.start()
        with self._producers_lock:
            producer = self._producers.setdefault(nsqd, made)
        if producer is not made:
            # Someone else was faster.
            made.close()
        return producer

    def _dispatch(self, message: Message) -> None:
        if self.is_async:
            message.enable_async()
        super()._dispatch(message)

    def _concurrency(self) -> int:
        return self.max_concurrency

    def _end(self) -> None:
        with self._producers_lock:
            producers = list(self._producers.values())
            self._producers.clear()
        for producer in producers:
            producer.close()
        super()._end()
