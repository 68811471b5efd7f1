"""Consuming under asyncio: messages of a channel, handed to coroutines or functions, or given out by a loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from functools import partial
from inspect import isawaitable
from types import TracebackType
from typing import Any, Callable, TypeVar

from .. import _core, _lifecycle
from .._consuming import ConsumerBase, give_back
from .._core import Message
from .._signal import Signal
from ..errors import NSQException
from ..states import CLOSED, INIT
from ..util import clients_of
from ._bridge import bridge, wait
from ._later import Later
from ._lookupd import LookupdClient
from ._messages import Messages
from ._ready import Ready, ReadyLine
from ._telling import announce, in_loop, notify, send

_Self = TypeVar("_Self", bound="Consumer")


class Consumer(ConsumerBase):
    """As :class:`gnsq.Consumer`, with the same arguments, attributes and signals.

    Handlers are coroutine functions or plain functions. They run in the loop that has called :meth:`start`, one at a
    time for each nsqd, those of different nsqds side by side, or `max_concurrency` at a time. When one returns, the
    message is finished; when one raises, it is requeued and the consumer backs off::

        consumer = gnsq.asyncio.Consumer("orders", "billing", "localhost:4150", max_in_flight=50)

        @consumer.on_message.connect
        async def handler(consumer, message):
            await write(message.body)

        await consumer.start()

    Or messages come in a loop, in place of :attr:`on_message`. Each is finished when the next one is asked for, unless
    it was answered or is async. Whoever leaves the loop (``break``, ``return``, an exception, a cancellation) gives the
    message in hand back, unless that was answered. Several tasks may loop at once, and share the messages::

        async with gnsq.asyncio.Consumer("orders", "billing", "localhost:4150", max_in_flight=50) as consumer:
            async for message in consumer:
                await write(message.body)

    A message's `finish`, `requeue` and `touch` are plain methods: they never wait. Receivers of the consumer's other
    signals may be coroutine functions, too; `on_giving_up`, `on_exception` and `on_close` wait for them. Those of
    messages' own signals are plain functions.

    What cancels :meth:`start` or leaves the ``async with`` block closes the consumer, and so does the end of
    :func:`asyncio.run`: messages that no handler has begun go back to nsqd, handlers are cancelled, and their messages
    go back, too.

    :param max_concurrency: how many handlers run at once, whatever nsqd their messages come from; 0: one for each nsqd.
        It is bounded by `max_in_flight`
    """

    def __init__(
        self,
        topic: str,
        channel: str,
        nsqd_tcp_addresses: str | Iterable[str] = (),
        lookupd_http_addresses: str | LookupdClient | Iterable[str | LookupdClient] = (),
        name: str | None = None,
        message_handler: Callable[..., Any] | None = None,
        max_tries: int = 5,
        max_in_flight: int = 1,
        requeue_delay: int = 0,
        lookupd_poll_interval: float = 60,
        lookupd_poll_jitter: float = 0.3,
        low_ready_idle_timeout: float = 10,
        max_backoff_duration: float = 128,
        backoff_on_requeue: bool = True,
        *,
        max_concurrency: int = 0,
        **connection_options: Any,
    ) -> None:
        if max_concurrency < 0:
            raise ValueError(f"max_concurrency is {max_concurrency}: it must be 0 or a number of handlers")
        #: How many handlers run at once; 0: one for each nsqd.
        self.max_concurrency = max_concurrency
        # Clients of this kind, where the other has clients that block.
        lookupds: Any = lookupd_http_addresses
        super().__init__(
            topic,
            channel,
            nsqd_tcp_addresses,
            lookupds,
            name,
            message_handler,
            max_tries,
            max_in_flight,
            requeue_delay,
            lookupd_poll_interval,
            lookupd_poll_jitter,
            low_ready_idle_timeout,
            max_backoff_duration,
            backoff_on_requeue,
            **connection_options,
        )

    lookupds: list[LookupdClient]

    def _parse_lookupds(self, lookupd_http_addresses: Any) -> list[Any]:
        return clients_of(LookupdClient, lookupd_http_addresses)

    def _prepare(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Done when it is closed, and the receivers of `on_close` have been told.
        self._ended: asyncio.Future[None] | None = None
        #: Sees to it that there are workers, and tells of the end.
        self._keeper: asyncio.Task[None] | None = None
        self._workers: dict[asyncio.Task[None], _core.Messages] = {}
        #: Where loops take messages.
        self._line: tuple[_core.Line, Ready] | None = None

    # Its life

    async def start(self, block: bool = True) -> None:
        """Begins to consume. With `block` it returns when the consumer has been closed; cancelled, it closes it first.

        :raises RuntimeError: when nothing is connected to :attr:`on_message`
        """
        self._check_receivers()
        if not self._begin(merged=False):
            self._warn_of_start()
        if block:
            try:
                await self.join()
            except asyncio.CancelledError:
                await self.close()
                raise

    def close(self) -> Awaitable[None]:
        """Closes. Awaited, it waits until that is done, as :meth:`join` does.

        Messages that no handler has begun go back to nsqd. A handler that runs may answer its message for a few seconds
        more; otherwise that goes back, too.

        :raises NSQException: in the child of the process that has started the consumer
        """
        self._shut()
        return Later(self.join)

    async def join(self, timeout: float | None = None, raise_error: bool = False) -> None:
        """Waits until the consumer has been closed and :attr:`on_close` was sent, for up to `timeout` seconds.

        Called by a handler it gives the handler's message back, unless that is answered or the consumer goes on.

        :param raise_error: whether to raise an `NSQException` if it isn't closed by then
        """
        me = asyncio.current_task()
        if self._ended is None or self._ended.done() or me is None or me is self._keeper:
            return
        if self._state == CLOSED and me in self._workers:
            self._workers[me].give_back()
        await asyncio.wait([self._ended], timeout=timeout)
        if raise_error and not self._ended.done():
            raise NSQException(f"{self.name} is not closed after {timeout} s")

    def __aiter__(self) -> Messages:
        return self.messages()

    def messages(self) -> Messages:
        """The messages, for an ``async for`` loop: what ``async for message in consumer`` uses. Starts the consumer if
        need be. The loop ends when the consumer is closed; one that is left leaves the consumer running.

        :raises RuntimeError: when the consumer was started with receivers
        """
        self._begin(merged=True)
        if self._line is None:
            if self._native is not None:
                raise RuntimeError("the messages of this consumer go to the receivers of on_message")
            raise NSQException(f"{self.name} was closed before it was started")
        return Messages(self, *self._line)

    async def __aenter__(self: _Self) -> _Self:
        if self._on_message.receivers and self._state == INIT:
            await self.start(block=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Handling

    async def _work(self, line: _core.Line, ready: Ready, messages: _core.Messages) -> None:
        """Handles messages of a line, one after the other, until it is closed."""
        while not line.is_closed():
            await self._handle(messages)
            await ready.wait()

    async def _handle(self, messages: _core.Messages) -> None:
        """One turn: handles what there is, for a while."""
        signal = self._on_message
        version = signal.version
        message: Message | None = None
        try:
            receiver = signal.sole(coroutines=True)
            turn = messages.turn(self.max_tries)
            if receiver is None:
                for message in turn:
                    await send(signal, self, message=message)
            else:
                for message in turn:
                    result = receiver(self, message=message)
                    if result is not None and isawaitable(result):
                        await result
                    if signal.version != version:
                        break
        except Exception as error:
            if message is None:
                raise
            await self._failed(message, error)
        except asyncio.CancelledError as error:
            if message is None or _is_told_to_end():
                if message is not None:
                    give_back(message)
                raise
            # What the handler has waited for was cancelled, and not the handler.
            await self._failed(message, error)
        except BaseException:
            # The program is told to end: somebody else handles the message.
            if message is not None:
                give_back(message)
            raise
        exhausted = self._after_turn(messages)
        if exhausted is not None:
            await self._give_up(exhausted)

    async def _give_up(self, message: Message) -> None:
        await announce(self._on_giving_up, self, self.logger, message=message)
        self._finish(message)

    async def _failed(self, message: Message, error: BaseException) -> None:
        if self._has_failed(message, error):
            await announce(self._on_exception, self, self.logger, message=message, error=error)
        self._requeue(message, error)

    def _notify(self, signal: Signal, **kwargs: Any) -> None:
        notify(self._loop, signal, self, self.logger, **kwargs)

    # Beginning and end

    def _concurrency(self) -> int:
        return self.max_concurrency

    def _begin(self, *, merged: bool) -> bool:
        """Starts it, unless it was started or closed before; tells whether it has."""
        loop = asyncio.get_running_loop()
        native = self._open(merged=merged)
        if native is None:
            return False
        self._keeper = loop.create_task(self._keep(native))
        if self._followed:
            self._listen(native)
        return True

    def _opened(self, native: _core.Consumer, merged: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        if merged:
            (line,) = native.lines()
            self._line = line, ReadyLine(line)

    async def _keep(self, native: _core.Consumer) -> None:
        """Has workers for new lines, until the end."""
        try:
            while True:
                for line in native.lines():
                    self._employ(line)
                if native.is_closed():
                    break
                await wait(native)
        except asyncio.CancelledError:
            # The loop ends. It waits for its tasks.
            self._shut()
            await wait(native.closed)
        finally:
            await self._end(native)

    def _employ(self, line: _core.Line) -> None:
        ready = ReadyLine(line)
        for _ in range(max(self.max_concurrency, 1)):
            messages = line.messages()
            task = _Worker(self._work(line, ready, messages), loop=asyncio.get_running_loop())
            self._workers[task] = messages
            task.add_done_callback(self._workers.pop)

    def _listen(self, native: _core.Consumer) -> None:
        if self._loop is not None:
            in_loop(self._loop, self._hear(native))

    async def _hear(self, native: _core.Consumer) -> None:
        """Tells of what happens on the connections, until it is closed."""
        events = native.events
        if not native.is_closed():
            bridge().arm(events, partial(self._heard, native))

    def _heard(self, native: _core.Consumer) -> None:
        self._tell(native.events.take())
        if not native.closed.done():
            bridge().arm(native.events, partial(self._heard, native))

    async def _end(self, native: _core.Consumer) -> None:
        self._state = CLOSED
        _lifecycle.ended(self)
        if self._followed:
            self._tell(native.events.take())
        try:
            await announce(self._on_close, self, self.logger)
        finally:
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)


class _Worker(asyncio.Task):  # type: ignore[type-arg] # it has none before Python 3.9's typing
    """A task that knows whether it was cancelled, which a handler's own cancellations don't mean."""

    is_told_to_end = False

    def cancel(self, msg: Any | None = None) -> bool:
        """Has the task end."""
        self.is_told_to_end = True
        return super().cancel(msg)


def _is_told_to_end() -> bool:
    task = asyncio.current_task()
    return not isinstance(task, _Worker) or task.is_told_to_end
