"""Publishing under asyncio."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Callable, TypeVar

from .. import _core, _lifecycle
from .._producing import ProducerBase, logger
from .._signal import Signal
from ..errors import NSQException
from ..states import CLOSED, INIT
from ._bridge import bridge, settled, wait
from ._later import Later
from ._telling import announce, in_loop, notify

_Self = TypeVar("_Self", bound="Producer")


class Producer(ProducerBase):
    """As :class:`gnsq.Producer`, with the same arguments, attributes and signals, for any number of tasks at once::

        async with gnsq.asyncio.Producer("localhost:4150") as producer:
            await producer.publish("orders", b"one coffee")

    Messages that are published to one topic at the same time share a command, and keep their own outcomes. A publish
    that is cancelled may have been sent, and be sent still. Receivers of signals may be coroutine functions.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    #: Done when it is closed, and the receivers of `on_close` have been told.
    _ended: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Connects to every nsqd. Returns when there was an attempt at each, or after 5 s; attempts go on until it is
        closed. Started already, it only warns.

        :raises NSQException: if it has been closed
        """
        loop = asyncio.get_running_loop()
        if not self._open():
            return
        self._loop = loop
        self._ended = loop.create_future()
        events = self._running().events()
        bridge().arm(events, partial(_heard, weakref.ref(self), events))
        await wait(self._attempted())

    async def publish(
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
        :return: ``b"OK"``; without `raise_error` an :class:`asyncio.Future` of it, once the message is submitted::

                futures = [await producer.publish("orders", body, raise_error=False) for body in bodies]
                await asyncio.gather(*futures)

        :raises NSQNoConnections: if no nsqd is connected in time
        :raises NSQException: if it isn't running, or the publish has failed
        :raises TypeError: for data of a wrong type
        :raises ValueError: for a bad topic name or delay
        """
        limit = timeout if block else 0.0
        publish = self._running().publish(topic, data, defer, limit)
        if publish is None:
            publish = await self._submit(lambda native, left: native.publish(topic, data, defer, left), limit)
        outcome = settled(publish)
        return await outcome if raise_error else outcome

    async def multipublish(
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
        limit = timeout if block else 0.0
        publish = self._running().multipublish(topic, messages, limit)
        if publish is None:
            publish = await self._submit(lambda native, left: native.multipublish(topic, messages, left), limit)
        outcome = settled(publish)
        return await outcome if raise_error else outcome

    async def connect_to_nsqd(self, address: str, port: int) -> None:
        """Publishes to one more nsqd. Returns when there was an attempt to connect, or after 5 s.

        :raises ValueError: for what is no address
        :raises NSQException: if it has been closed
        """
        self._add(address, port)
        if self.is_running:
            await wait(self._attempted())

    def close(self) -> Awaitable[None]:
        """Publishes nothing more. What is outstanding gets its outcome, within the option `timeout`; then the
        connections are closed, and `on_close` is sent. Awaited, it waits for that, as :meth:`join` does."""
        state, self._state = self._state, CLOSED
        if self._native is not None and state not in (INIT, CLOSED):
            self._native.close()
            _lifecycle.ended(self)
        return Later(self.join)

    async def join(self, timeout: float | None = None, raise_error: bool = False) -> None:
        """Waits until it is closed, for up to `timeout` seconds (None: for ever).

        :param raise_error: whether to raise an `NSQException` if it isn't by then
        """
        if self._ended is None or self._ended.done():
            return
        await asyncio.wait([self._ended], timeout=timeout)
        if raise_error and not self._ended.done():
            raise NSQException(f"the producer is not closed after {timeout} s")

    async def __aenter__(self: _Self) -> _Self:
        if not self.is_running:
            try:
                await self.start()
            except BaseException:
                self.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _submit(
        self, submit: Callable[[_core.Producer, float | None], _core.Publish | None], limit: float | None
    ) -> _core.Publish:
        """Submits what there was no connection or no room for, once there is."""
        steps = self._submitting(submit, limit)
        try:
            waited = next(steps)
            while True:
                waited = steps.send(await wait(*waited))
        except StopIteration as submitted:
            publish: _core.Publish = submitted.value
            return publish
        finally:
            steps.close()

    def _notify(self, signal: Signal, **kwargs: Any) -> None:
        notify(self._loop, signal, self, logger, **kwargs)

    def _listen(self) -> None:
        """Events are delivered from the start on."""

    async def _end(self) -> None:
        try:
            await announce(self.on_close, self, logger)
        finally:
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)


def _heard(producer: weakref.ref[Producer], events: _core.Events) -> None:
    """Delivers events until there are no more. Holds no producer that nobody else has."""
    there = producer()
    for event in events.take():
        if there is None:
            return
        if event[0] == "end":
            in_loop(asyncio.get_running_loop(), there._end())
            return
        there._deliver(event)
    bridge().arm(events, partial(_heard, producer, events))
