"""Consuming: messages of a channel, handed to the receivers of a signal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from . import _core, _lifecycle, _modes
from ._consuming import ConsumerBase, give_back
from ._core import Message
from ._workers import Slot, current_worker
from .errors import NSQException
from .states import CLOSED

if TYPE_CHECKING:
    from .lookupd import LookupdClient

__all__ = ["Consumer"]


class Consumer(ConsumerBase):
    """Takes the messages of a channel from nsqds, which are named or found through nsqlookupds.

    Messages come to the receivers of :attr:`on_message`, one after the other for each nsqd, those of different nsqds
    side by side: in threads, or in greenlets of the thread that has called :meth:`start` where gevent is imported. When
    the receivers return, the message is finished; when one raises, it is requeued and the consumer backs off::

        consumer = gnsq.Consumer("orders", "billing", "localhost:4150", max_in_flight=50)

        @consumer.on_message.connect
        def handler(consumer, message):
            print(message.body)

        consumer.start()

    Heartbeats, RDY, backoff, discovery and reconnection are done beside the program: no handler holds them up.

    A consumer that was started runs until it is closed, also when the program has let go of it.

    :param topic: the topic
    :param channel: the channel
    :param nsqd_tcp_addresses: one address or several of nsqds, as ``"host"`` or ``"host:port"``
    :param lookupd_http_addresses: one address or several of nsqlookupds, or clients of them
    :param name: of the consumer and its logger; by default ``"gnsq.consumer.{topic}.{channel}"``
    :param message_handler: a receiver for :attr:`on_message`
    :param max_tries: after how many attempts a message is given up; 0 for never
    :param max_in_flight: how many messages may be unanswered at once, of all nsqds together
    :param requeue_delay: how long a failed message waits before it is delivered again, in ms
    :param lookupd_poll_interval: how often the nsqlookupds are asked, in s
    :param lookupd_poll_jitter: by how much of the interval that varies
    :param low_ready_idle_timeout: for how long an nsqd keeps what it doesn't use of `max_in_flight`, in s
    :param max_backoff_duration: the longest pause after failures, in s; 0 turns backoff off
    :param backoff_on_requeue: whether a requeue that a handler asks for is a reason to back off
    :param connection_options: as of :class:`gnsq.NsqdTCPClient`
    """

    lookupds: list[LookupdClient]

    #: Whether a lone receiver may be called in the stead of `_dispatch`.
    _calls_directly = True

    def _prepare(self) -> None:
        self._mode: _modes.Mode = _modes.current()
        self._slots: list[tuple[Slot, _core.Messages]] = []
        #: Done when it is closed, and the receivers of `on_close` have been told.
        self._ended = _core.Operation.manual()
        #: Which thread or greenlet tells them.
        self._ending_in: int | None = None
        #: Where messages() takes messages.
        self._line: _core.Line | None = None

    # Its life

    def start(self, block: bool = True) -> None:
        """Begins to consume. With `block` it returns when the consumer has been closed.

        :raises RuntimeError: when nothing is connected to :attr:`on_message`
        """
        self._check_receivers()
        if not self._begin(merged=False):
            self._warn_of_start()
        if block:
            self.join()

    def close(self) -> None:
        """Closes, without waiting for it.

        Messages that no handler has begun go back to nsqd. A handler that runs may answer its message for a few seconds
        more; otherwise that goes back, too.

        :raises NSQException: in the child of the process that has started the consumer
        """
        if not self._shut():
            self._ended.set()

    def join(self, timeout: float | None = None, raise_error: bool = False) -> None:
        """Waits until the consumer has been closed and :attr:`on_close` was sent, for up to `timeout` seconds.

        Called by a handler it gives the handler's message back, unless that is answered or the consumer goes on.

        :param raise_error: whether to raise an `NSQException` if it isn't closed by then; handlers' errors go to
            :attr:`on_exception`
        """
        if self._native is None:
            return
        me = current_worker()
        if self._ending_in == me:
            return
        if self._state == CLOSED:
            for slot, messages in self._slots:
                if slot.worker == me:
                    messages.give_back()
        if not _modes.current().wait(self._ended, timeout) and raise_error:
            raise NSQException(f"{self.name} is not closed after {timeout} s")

    def messages(self) -> Iterator[Message]:
        """The messages, in a loop in place of :attr:`on_message`; starts the consumer if need be::

            for message in consumer.messages():
                print(message.body)

        Each is finished when the next one is asked for, unless it was answered or is async. The loop ends when the
        consumer is closed. Whoever breaks out of it gives the message in hand back, unless that was answered; the
        consumer goes on, holds up to `max_in_flight` messages, and another loop goes on with them.

        :raises RuntimeError: when the consumer was started with receivers
        """
        self._begin(merged=True)
        line = self._line
        if line is None:
            if self._slots or self.is_running:
                raise RuntimeError("the messages of this consumer go to the receivers of on_message")
            return
        messages = line.messages()
        try:
            while True:
                yield from messages.turn(self.max_tries)
                self._after_turn(messages)
                if line.is_closed():
                    return
                _modes.current().wait(line)
        finally:
            messages.give_back()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
        self.join()

    # Handling

    def _dispatch(self, message: Message) -> None:
        """Hands a message to its handlers."""
        self._on_message.send(self, message=message)

    def _handle(self, messages: _core.Messages) -> None:
        """One turn: handles what there is, for a while."""
        signal = self._on_message
        version = signal.version
        message: Message | None = None
        try:
            receiver = signal.sole() if self._calls_directly else None
            turn = messages.turn(self.max_tries)
            if receiver is not None:
                for message in turn:
                    receiver(self, message=message)
                    if signal.version != version:
                        # Others are connected now. The turn goes on: it finishes this message.
                        receiver = None
                        break
            if receiver is None:
                for message in turn:
                    self._dispatch(message)
        except Exception as error:
            if message is None:
                raise
            self._failed(message, error)
        except BaseException:
            # The program, or this thread or greenlet, is told to end: somebody else handles the message.
            if message is not None:
                give_back(message)
            raise
        self._after_turn(messages)

    def _after_turn(self, messages: _core.Messages) -> Message | None:
        exhausted = super()._after_turn(messages)
        if exhausted is not None:
            self._notify(self._on_giving_up, message=exhausted)
            self._finish(exhausted)
        return exhausted

    def _failed(self, message: Message, error: Exception) -> None:
        if self._has_failed(message, error):
            self._notify(self._on_exception, message=message, error=error)
        self._requeue(message, error)

    # Beginning and end

    def _begin(self, *, merged: bool) -> bool:
        """Starts it, unless it was started or closed before; tells whether it has."""
        native = self._open(merged=merged)
        if native is None:
            return False
        self._watch(native)
        if self._followed:
            self._listen(native)
        return True

    def _opened(self, native: _core.Consumer, merged: bool) -> None:
        self._mode = _modes.current()
        if merged:
            (self._line,) = native.lines()

    def _watch(self, native: _core.Consumer) -> None:
        """Has workers for new lines, and is told of the end."""
        for line in native.lines():
            name = f"{self.name} {line.nsqd}" if line.nsqd else self.name
            for _ in range(max(self._concurrency(), 1)):
                messages = line.messages()
                slot = Slot(self._mode, line, partial(self._handle, messages), line.is_closed, name)
                self._slots.append((slot, messages))
        if native.is_closed():
            self._mode.spawn(self._end, name=f"{self.name} end")
        else:
            self._mode.when_ready(native, lambda: self._watch(native))

    def _listen(self, native: _core.Consumer) -> None:
        """Has a worker for what happens on the connections."""
        events = native.events
        Slot(self._mode, events, lambda: self._tell(events.take()), native.is_closed, f"{self.name} events")

    def _end(self) -> None:
        self._ending_in = current_worker()
        self._state = CLOSED
        _lifecycle.ended(self)
        if self._followed and self._native is not None:
            self._tell(self._native.events.take())
        try:
            self._notify(self._on_close)
        finally:
            self._ended.set()
            self._ending_in = None
