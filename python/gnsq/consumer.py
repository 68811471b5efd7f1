"""Consuming: messages of a channel, handed to the receivers of a signal."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Callable

from . import _core, _lifecycle, _modes, _options, util
from ._core import Message
from ._peer import Peer
from ._signal import Signal
from ._tell import tell
from ._workers import Slot, current_worker
from .errors import NSQException, NSQRequeueMessage
from .states import CLOSED, INIT, RUNNING

if TYPE_CHECKING:
    from .lookupd import LookupdClient

__all__ = ["Consumer"]


class Consumer:
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
    :param lookupd_http_addresses: one address or several of nsqlookupds
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

    #: Whether a lone receiver may be called in the stead of `_dispatch`.
    _calls_directly = True

    def __init__(
        self,
        topic: str,
        channel: str,
        nsqd_tcp_addresses: str | Iterable[str] = (),
        lookupd_http_addresses: str | Iterable[str] = (),
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
        **connection_options: Any,
    ) -> None:
        if nsqd_tcp_addresses is None or lookupd_http_addresses is None:
            raise TypeError("addresses are one string or several, not None")
        if not nsqd_tcp_addresses and not lookupd_http_addresses:
            raise ValueError("no nsqd and no nsqlookupd is named: give nsqd_tcp_addresses or lookupd_http_addresses")
        self.topic = topic
        self.channel = channel
        #: The nsqds that were named, as `host:port`.
        self.nsqd_tcp_addresses: set[str] = set(util.parse_nsqds(nsqd_tcp_addresses)) if nsqd_tcp_addresses else set()
        #: A client of each nsqlookupd.
        self.lookupds: list[LookupdClient] = (
            list(util.parse_lookupds(lookupd_http_addresses)) if lookupd_http_addresses else []
        )
        self.name = name or f"gnsq.consumer.{topic}.{channel}"
        self.logger = logging.getLogger(self.name)
        self.max_tries = max_tries
        self.requeue_delay = requeue_delay
        self.lookupd_poll_interval = lookupd_poll_interval
        self.lookupd_poll_jitter = lookupd_poll_jitter
        self.low_ready_idle_timeout = low_ready_idle_timeout
        self.max_backoff_duration = max_backoff_duration
        self.backoff_on_requeue = backoff_on_requeue
        self._max_in_flight = max_in_flight
        self._connection_options = connection_options
        self._options = _options.parse(connection_options)

        # Weak, since what is native is no part of what the collector sees.
        me = weakref.ref(self)
        answers = self._answers = _core.Answers(partial(_finished, me), partial(_requeued, me))
        self._on_message = Signal("A message has come.")
        self._on_response = Signal("nsqd has answered.", on_connect=partial(_follow, me, "response"))
        self._on_error = Signal("nsqd has told of an error.", on_connect=partial(_follow, me, "error"))
        self._on_finish = Signal("A message was finished.", on_connect=answers.listen)
        self._on_requeue = Signal("A message was requeued.", on_connect=answers.listen)
        self._on_giving_up = Signal("A message was attempted too often.")
        self._on_auth = Signal("nsqd has accepted the secret.", on_connect=partial(_follow, me, "auth"))
        self._on_exception = Signal("A handler has failed.")
        self._on_close = Signal("The consumer was closed.")

        self._lock = Lock()
        self._state = INIT
        self._mode: _modes.Mode = _modes.current()
        self._native: _core.Consumer | None = None
        self._slots: list[tuple[Slot, _core.Messages]] = []
        #: Which events of nsqds somebody listens to.
        self._followed: set[str] = set()
        #: Done when it is closed, and the receivers of `on_close` have been told.
        self._ended = _core.Operation.manual()
        #: Which thread or greenlet tells them.
        self._ending_in: int | None = None
        #: Where messages() takes messages.
        self._line: _core.Line | None = None
        if message_handler is not None:
            self._on_message.connect(message_handler, weak=False)

    # What happens

    @property
    def on_message(self) -> Signal:
        """Sent for each message: receivers are called as `receiver(consumer, message=…)`."""
        return self._on_message

    @property
    def on_response(self) -> Signal:
        """Sent for each answer of an nsqd: `receiver(consumer, response=…)`."""
        return self._on_response

    @property
    def on_error(self) -> Signal:
        """Sent for each error of an nsqd: `receiver(consumer, error=…)`."""
        return self._on_error

    @property
    def on_finish(self) -> Signal:
        """Sent when a message was finished: `receiver(consumer, message_id=…)`."""
        return self._on_finish

    @property
    def on_requeue(self) -> Signal:
        """Sent when a message was requeued: `receiver(consumer, message_id=…, timeout=…)`, in ms."""
        return self._on_requeue

    @property
    def on_giving_up(self) -> Signal:
        """Sent when a message was attempted more than `max_tries` times, before it is finished:
        `receiver(consumer, message=…)`."""
        return self._on_giving_up

    @property
    def on_auth(self) -> Signal:
        """Sent when an nsqd has accepted the secret: `receiver(consumer, conn=…, response=…)`."""
        return self._on_auth

    @property
    def on_exception(self) -> Signal:
        """Sent when a receiver of :attr:`on_message` has raised: `receiver(consumer, message=…, error=…)`."""
        return self._on_exception

    @property
    def on_close(self) -> Signal:
        """Sent once, when the consumer was closed: `receiver(consumer)`."""
        return self._on_close

    # Its life

    def start(self, block: bool = True) -> None:
        """Begins to consume. With `block` it returns when the consumer has been closed.

        :raises RuntimeError: when nothing is connected to :attr:`on_message`
        """
        if not self._on_message.receivers and self._state == INIT:
            raise RuntimeError("nothing is connected to on_message: messages would be lost")
        if not self._begin(merged=False):
            text = f"{self.name} was started before"
            self.logger.warning(text)
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        if block:
            self.join()

    def close(self) -> None:
        """Closes, without waiting for it.

        Messages that no handler has begun go back to nsqd. A handler that runs may answer its message for a few seconds
        more; otherwise that goes back, too.

        :raises NSQException: in the child of the process that has started the consumer
        """
        with self._lock:
            native = self._native
            if self._state != CLOSED:
                self._state = CLOSED
                self.logger.debug("closing %s", self.name)
            if native is None:
                self._ended.set()
        if native is not None:
            native.close()

    def join(self, timeout: float | None = None, raise_error: bool = False) -> None:
        """Waits until the consumer has been closed and :attr:`on_close` was sent, for up to `timeout` seconds.

        Called by a handler it gives the handler's message back, unless that is answered or the consumer goes on.

        :param raise_error: accepted for programs that give it; handlers' errors go to :attr:`on_exception`
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
        _modes.current().wait(self._ended, timeout)

    @property
    def is_running(self) -> bool:
        """Whether it was started and not closed."""
        return self._state == RUNNING

    # What it does

    @property
    def max_in_flight(self) -> int:
        """How many messages may be unanswered at once, of all nsqds together. May be changed while it runs."""
        return self._max_in_flight

    @max_in_flight.setter
    def max_in_flight(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        if self._native is not None:
            self._native.set_max_in_flight(max_in_flight)

    @property
    def is_starved(self) -> bool:
        """Whether handlers have nearly as many messages of some nsqd as it may have unanswered, and no other waits for
        them: what waits for more should be worked on now."""
        return self._native is not None and self._native.is_starved()

    @property
    def total_ready_count(self) -> int:
        """How many messages the nsqds may send at once. It follows the load: 1 for each quiet nsqd."""
        return 0 if self._native is None else self._native.total_ready()

    @property
    def total_in_flight(self) -> int:
        """How many messages are here and unanswered."""
        return 0 if self._native is None else self._native.total_in_flight()

    def connect_to_nsqd(self, address: str, port: int) -> None:
        """Consumes from this nsqd too, from now on."""
        self.nsqd_tcp_addresses.add(_join(address, port))
        if self._native is not None:
            self._native.add_nsqd(_join(address, port))

    def query_nsqd(self) -> None:
        """Connects to the nsqds of :attr:`nsqd_tcp_addresses` that are new. Lost connections are renewed anyway."""
        if self._native is not None:
            for address in sorted(self.nsqd_tcp_addresses):
                self._native.add_nsqd(address)

    def query_lookupd(self) -> None:
        """Asks the nsqlookupds now, and not only at the next interval."""
        if self._native is not None:
            self._native.query_lookupd()

    def redistribute_ready_state(self) -> None:
        """Has :attr:`max_in_flight` divided among the nsqds anew, which happens by itself all the time."""
        if self._native is not None:
            self._native.set_max_in_flight(self._max_in_flight)

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

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} can't be pickled: it has connections; make one where it is used")

    def __repr__(self) -> str:
        state = {INIT: "not started", RUNNING: "running"}.get(self._state, "closed")
        kind = type(self)
        return f"<{kind.__module__}.{kind.__qualname__} {self.topic!r} {self.channel!r} {state}>"

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
            if receiver is None:
                for message in turn:
                    self._dispatch(message)
            else:
                for message in turn:
                    receiver(self, message=message)
                    if signal.version != version:
                        break
        except Exception as error:
            if message is None:
                raise
            self._failed(message, error)
        except BaseException:
            # The program, or this thread or greenlet, is told to end: somebody else handles the message.
            if message is not None:
                _give_back(message)
            raise
        self._after_turn(messages)

    def _after_turn(self, messages: _core.Messages) -> None:
        late = messages.take_late()
        if late:
            self.logger.warning(
                "%d messages took longer than nsqd waits, and come again: touch them, or set message_timeout",
                late,
            )
        exhausted = messages.take_exhausted()
        if exhausted is not None:
            self._give_up(exhausted)

    def _give_up(self, message: Message) -> None:
        self.logger.warning("giving up on message %r after %d attempts", message.id, message.attempts)
        tell(self._on_giving_up, self, log=self.logger, message=message)
        if not message.has_responded() and not message.is_async():
            self._answer(message, message.finish)

    def _failed(self, message: Message, error: Exception) -> None:
        if isinstance(error, NSQRequeueMessage):
            asked = error.backoff
            backoff = self.backoff_on_requeue if asked is None else bool(asked)
        else:
            backoff = True
            self.logger.error("the handler of message %r failed", message.id, exc_info=error)
            tell(self._on_exception, self, log=self.logger, message=message, error=error)
        if not message.has_responded() and not message.is_async():
            self._answer(message, lambda: message.requeue(self.requeue_delay, backoff))

    def _answer(self, message: Message, answer: Callable[[], None]) -> None:
        try:
            answer()
        except NSQException as error:
            self.logger.warning("message %r could not be answered: %s", message.id, error)

    # Beginning and end

    def _begin(self, *, merged: bool) -> bool:
        """Starts it, unless it was started or closed before; tells whether it has."""
        with self._lock:
            if self._state != INIT:
                return False
            self._mode = _modes.current()
            native = self._native = _core.Consumer(
                self.topic,
                self.channel,
                nsqds=sorted(self.nsqd_tcp_addresses),
                lookupds=[lookupd._connections() for lookupd in self.lookupds],
                options=self._options.native(),
                answers=self._answers,
                follow=sorted(self._followed),
                merged=merged or self._concurrency() > 0,
                max_in_flight=self._max_in_flight,
                poll_interval=self.lookupd_poll_interval,
                poll_jitter=self.lookupd_poll_jitter,
                low_ready_idle_timeout=self.low_ready_idle_timeout,
                max_backoff=self.max_backoff_duration,
                shutdown_timeout=_SHUTDOWN_TIMEOUT,
            )
            self._state = RUNNING
            if merged:
                (self._line,) = native.lines()
        self.logger.debug("starting %s", self.name)
        _lifecycle.started(self)
        self._watch(native)
        if self._followed:
            self._listen(native)
        return True

    def _concurrency(self) -> int:
        """How many workers share one line; 0: each nsqd has its own."""
        return 0

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

    def _follow(self, kind: str) -> None:
        with self._lock:
            if kind in self._followed:
                return
            is_first = not self._followed
            self._followed.add(kind)
            native = self._native
        if native is not None and self._state == RUNNING:
            native.follow(kind)
            if is_first:
                self._listen(native)

    def _listen(self, native: _core.Consumer) -> None:
        """Has a worker for what happens on the connections."""
        events = native.events
        Slot(self._mode, events, lambda: self._tell(events.take()), native.is_closed, f"{self.name} events")

    def _tell(self, events: list[tuple[Any, ...]]) -> None:
        for event in events:
            if event[0] == "response":
                tell(self._on_response, self, log=self.logger, response=event[2])
            elif event[0] == "error":
                tell(self._on_error, self, log=self.logger, error=event[2])
            elif event[0] == "auth":
                tell(self._on_auth, self, log=self.logger, conn=Peer(event[1]), response=event[2])

    def _end(self) -> None:
        self._ending_in = current_worker()
        self._state = CLOSED
        _lifecycle.ended(self)
        if self._followed and self._native is not None:
            self._tell(self._native.events.take())
        try:
            tell(self._on_close, self, log=self.logger)
        finally:
            self._ended.set()
            self._ending_in = None

    def _begin_exit(self) -> None:
        self._state = CLOSED
        if self._native is not None:
            self._native.close()
            self._native.hurry()

    def _exited(self, timeout: float) -> object:
        return self._native is None or self._native.closed.wait(timeout)


def _finished(consumer: weakref.ref[Consumer], message: Message) -> None:
    alive = consumer()
    if alive is not None:
        tell(alive.on_finish, alive, log=alive.logger, message_id=message.id)


def _requeued(consumer: weakref.ref[Consumer], message: Message, time_ms: int, _backoff: bool) -> None:
    alive = consumer()
    if alive is not None:
        tell(alive.on_requeue, alive, log=alive.logger, message_id=message.id, timeout=time_ms)


def _follow(consumer: weakref.ref[Consumer], kind: str) -> None:
    """Somebody listens to this kind of event."""
    alive = consumer()
    if alive is not None:
        alive._follow(kind)


def _join(address: str, port: int) -> str:
    return util.normalize_nsqd_address(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")


def _give_back(message: Message) -> None:
    if not message.has_responded() and not message.is_async():
        try:
            message.requeue(backoff=False)
        except NSQException:
            # nsqd delivers it again anyway.
            return


#: For how many seconds handlers that run may still answer their messages when a consumer is closed.
_SHUTDOWN_TIMEOUT = 5.0
