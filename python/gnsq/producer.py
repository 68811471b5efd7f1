"""Publishing to any number of nsqds."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Callable

from . import _core, _lifecycle
from ._modes import Mode, Worker, current
from ._producing import ProducerBase
from .errors import NSQException
from .states import CLOSED, INIT

__all__ = ["Producer"]


class Producer(ProducerBase):
    """Publishes messages to one or several nsqds, from any number of threads or greenlets at once::

        with gnsq.Producer("localhost:4150") as producer:
            producer.publish("orders", b"one coffee")

    Messages that are published to one topic at the same time share a command, and keep their own outcomes. What one
    thread publishes to one nsqd goes out in order. In the child of a fork it raises `NSQException`: make a new one
    there.

    :param nsqd_tcp_addresses: where nsqds are: ``"host"`` or ``"host:port"``, one or several
    :param max_backoff_duration: the longest pause between two attempts to connect to an nsqd, in seconds
    :param connection_options: as :class:`gnsq.NsqdTCPClient` takes them
    :raises TypeError: for addresses or options of a wrong type
    :raises ValueError: for an address or option that can't be used, and for no address
    """

    _closed: _core.Operation | None = None
    _listener: Worker | None = None

    def start(self) -> None:
        """Connects to every nsqd. Returns when there was an attempt at each, or after 5 s; attempts go on until it is
        closed. Started already, it only warns.

        :raises NSQException: if it has been closed
        """
        if not self._open():
            return
        self._closed = _core.Operation.manual()
        if self._followed:
            self._listen()
        self._await_attempts()

    def publish(
        self,
        topic: str,
        data: Any,
        defer: float | None = None,
        block: bool = True,
        timeout: float | None = None,
        raise_error: bool = True,
    ) -> Any:
        """Publishes one message.

        :param data: bytes-like, or str, which is sent as UTF-8
        :param defer: how long nsqd is to hold the message back, in milliseconds
        :param block: whether to wait while no nsqd is connected, or too much is outstanding
        :param timeout: how long to do so, in seconds; None: for ever
        :param raise_error: whether to wait for nsqd's answer
        :return: ``b"OK"``; without `raise_error` the outcome to come: a `gevent.event.AsyncResult` under gevent,
            elsewhere a :class:`Result <gnsq._result.Result>` with the same methods
        :raises NSQNoConnections: if no nsqd is connected in time
        :raises NSQException: if it isn't running, or the publish has failed
        :raises TypeError: for data of a wrong type
        :raises ValueError: for a bad topic name or delay
        """
        wait = timeout if block else 0.0
        publish = self._running().publish(topic, data, defer, wait)
        mode = current()
        if publish is None:
            publish = self._submit(mode, lambda native, wait: native.publish(topic, data, defer, wait), wait)
        return _outcome(mode, publish, raise_error)

    def multipublish(
        self,
        topic: str,
        messages: Iterable[Any],
        block: bool = True,
        timeout: float | None = None,
        raise_error: bool = True,
    ) -> Any:
        """Publishes several messages with one command; else as :meth:`publish`."""
        if iter(messages) is messages:
            # It gives them out only once.
            messages = list(messages)
        wait = timeout if block else 0.0
        publish = self._running().multipublish(topic, messages, wait)
        mode = current()
        if publish is None:
            publish = self._submit(mode, lambda native, wait: native.multipublish(topic, messages, wait), wait)
        return _outcome(mode, publish, raise_error)

    def connect_to_nsqd(self, address: str, port: int) -> None:
        """Publishes to one more nsqd. Returns when there was an attempt to connect, or after 5 s.

        :raises ValueError: for what is no address
        :raises NSQException: if it has been closed
        """
        self._add(address, port)
        if self.is_running:
            self._await_attempts()

    def close(self) -> None:
        """Publishes nothing more. What is outstanding gets its outcome, within the option `timeout`; then the
        connections are closed, and `on_close` is sent. :meth:`join` waits for that."""
        state, self._state = self._state, CLOSED
        if self._native is None or state in (INIT, CLOSED):
            return
        is_idle = self._native.outstanding() == 0
        closed = self._native.close()
        _lifecycle.ended(self)
        if is_idle:
            self._notify(self.on_close)
        current().spawn(self._end, closed, not is_idle, name="gnsq-close")

    def join(self, timeout: float | None = None, raise_error: bool = False) -> None:
        """Waits until it is closed, for up to `timeout` seconds (None: for ever).

        :param raise_error: whether to raise an `NSQException` if it isn't by then
        """
        if self._closed is None:
            return
        if not current().wait(self._closed, timeout) and raise_error:
            raise NSQException(f"the producer is not closed after {timeout} s")

    def __enter__(self) -> Producer:
        if not self.is_running:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        self.join()

    def _submit(
        self,
        mode: Mode,
        submit: Callable[[_core.Producer, float | None], _core.Publish | None],
        wait: float | None,
    ) -> _core.Publish:
        """Submits what there was no connection or no room for, once there is."""
        steps = self._submitting(submit, wait)
        try:
            waited = next(steps)
            while True:
                waited = steps.send(mode.wait(*waited))
        except StopIteration as submitted:
            publish: _core.Publish = submitted.value
            return publish
        finally:
            steps.close()

    def _await_attempts(self) -> None:
        current().wait(self._attempted())

    def _end(self, closed: _core.Operation, tells: bool) -> None:
        """Waits for the end of what a close began, and tells of it."""
        current().wait(closed)
        if self._listener is not None:
            self._listener.join()
        if tells:
            self._notify(self.on_close)
        if self._closed is not None:
            self._closed.set()

    def _listen(self) -> None:
        if self._listener is None:
            events = self._running().events()
            self._listener = current().spawn(_listen, events, weakref.ref(self), name="gnsq-producer-events")


def _outcome(mode: Mode, publish: _core.Publish, raise_error: bool) -> Any:
    if raise_error:
        mode.wait(publish)
        return publish.result()
    return mode.result(publish)


def _listen(events: _core.Events, producer: weakref.ref[Producer]) -> None:
    """Delivers events until there are no more. Holds no producer that nobody else has."""
    while True:
        current().wait(events)
        there = producer()
        for event in events.take():
            if event[0] == "end" or there is None:
                return
            there._deliver(event)
        del there
