"""What all consumers have, however they wait: their settings and signals, and what a handler's end means."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Iterable
from functools import partial
from threading import Lock
from typing import Any, Callable

from . import _core, _lifecycle, _options, util
from ._address import join_host_port
from ._core import Message
from ._peer import Peer
from ._signal import Signal
from ._tell import tell
from .errors import NSQException, NSQRequeueMessage
from .states import CLOSED, INIT, RUNNING


class ConsumerBase:
    """A consumer, but for what waits. Nothing here blocks."""

    def __init__(
        self,
        topic: str,
        channel: str,
        nsqd_tcp_addresses: str | Iterable[str] = (),
        lookupd_http_addresses: util.Lookupds = (),
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
        self.lookupds: list[Any] = self._parse_lookupds(lookupd_http_addresses) if lookupd_http_addresses else []
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
        self._native: _core.Consumer | None = None
        #: Which events of nsqds somebody listens to.
        self._followed: set[str] = set()
        self._prepare()
        if message_handler is not None:
            self._on_message.connect(message_handler, weak=False)

    def _parse_lookupds(self, lookupd_http_addresses: Any) -> list[Any]:
        """A client for each nsqlookupd, which waits as this consumer does."""
        return util.parse_lookupds(lookupd_http_addresses)

    def _prepare(self) -> None:
        """Makes what only this way to wait needs."""

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

    # What it is and does

    @property
    def is_running(self) -> bool:
        """Whether it was started and not closed."""
        return self._state == RUNNING

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
        nsqd = util.normalize_nsqd_address(join_host_port(address, port))
        self.nsqd_tcp_addresses.add(nsqd)
        if self._native is not None:
            self._native.add_nsqd(nsqd)

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

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} can't be pickled: it has connections; make one where it is used")

    def __repr__(self) -> str:
        state = {INIT: "not started", RUNNING: "running"}.get(self._state, "closed")
        kind = type(self)
        return f"<{kind.__module__}.{kind.__qualname__} {self.topic!r} {self.channel!r} {state}>"

    # Beginning and end

    def _open(self, *, merged: bool) -> _core.Consumer | None:
        """Makes the native consumer, which connects; None when it was started or closed before."""
        with self._lock:
            if self._state != INIT:
                return None
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
            self._opened(native, merged)
        self.logger.debug("starting %s", self.name)
        _lifecycle.started(self)
        return native

    def _opened(self, native: _core.Consumer, merged: bool) -> None:
        """It has just been made, and nobody else can see it yet."""

    def _check_receivers(self) -> None:
        if not self._on_message.receivers and self._state == INIT:
            raise RuntimeError("nothing is connected to on_message: messages would be lost")

    def _warn_of_start(self) -> None:
        text = f"{self.name} was started before"
        self.logger.warning(text)
        warnings.warn(text, RuntimeWarning, stacklevel=3)

    def _shut(self) -> bool:
        """Begins to close; False when it was never started, and so is closed."""
        with self._lock:
            native = self._native
            if self._state != CLOSED:
                self._state = CLOSED
                self.logger.debug("closing %s", self.name)
        if native is not None:
            native.close()
        return native is not None

    def _concurrency(self) -> int:
        """How many workers share one line; 0: each nsqd has its own."""
        return 0

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
        """Has what happens on the connections told, from the first call on."""
        raise NotImplementedError

    def _tell(self, events: list[tuple[Any, ...]]) -> None:
        for event in events:
            if event[0] == "response":
                self._notify(self._on_response, response=event[2])
            elif event[0] == "error":
                self._notify(self._on_error, error=event[2])
            elif event[0] == "auth":
                self._notify(self._on_auth, conn=Peer(event[1]), response=event[2])

    def _notify(self, signal: Signal, **kwargs: Any) -> None:
        """Tells the receivers of a signal of what they can't prevent."""
        tell(signal, self, log=self.logger, **kwargs)

    def _begin_exit(self) -> None:
        self._state = CLOSED
        if self._native is not None:
            self._native.close()
            self._native.hurry()

    def _exited(self, timeout: float) -> object:
        return self._native is None or self._native.closed.wait(timeout)

    # What a handler's end means

    def _after_turn(self, messages: _core.Messages) -> Message | None:
        """Looks at what has ended a turn; gives a message that is to be given up."""
        late = messages.take_late()
        if late:
            self.logger.warning(
                "%d messages took longer than nsqd waits, and come again: touch them, or set message_timeout",
                late,
            )
        exhausted = messages.take_exhausted()
        if exhausted is not None:
            self.logger.warning("giving up on message %r after %d attempts", exhausted.id, exhausted.attempts)
        return exhausted

    def _finish(self, message: Message) -> None:
        """Finishes a message that was given up."""
        if not message.has_responded() and not message.is_async():
            self._answer(message, message.finish)

    def _has_failed(self, message: Message, error: BaseException) -> bool:
        """Whether what a handler has raised is a mistake, which is logged, and no wish."""
        if isinstance(error, NSQRequeueMessage):
            return False
        self.logger.error("the handler of message %r failed", message.id, exc_info=error)
        return True

    def _requeue(self, message: Message, error: BaseException) -> None:
        """Requeues a message, unless it was answered, since its handler has raised."""
        asked = error.backoff if isinstance(error, NSQRequeueMessage) else True
        backoff = self.backoff_on_requeue if asked is None else bool(asked)
        if not message.has_responded() and not message.is_async():
            self._answer(message, lambda: message.requeue(self.requeue_delay, backoff))

    def _answer(self, message: Message, answer: Callable[[], None]) -> None:
        try:
            answer()
        except NSQException as error:
            self.logger.warning("message %r could not be answered: %s", message.id, error)


def _finished(consumer: weakref.ref[ConsumerBase], message: Message) -> None:
    alive = consumer()
    if alive is not None:
        alive._notify(alive.on_finish, message_id=message.id)


def _requeued(consumer: weakref.ref[ConsumerBase], message: Message, time_ms: int, _backoff: bool) -> None:
    alive = consumer()
    if alive is not None:
        alive._notify(alive.on_requeue, message_id=message.id, timeout=time_ms)


def _follow(consumer: weakref.ref[ConsumerBase], kind: str) -> None:
    """Somebody listens to this kind of event."""
    alive = consumer()
    if alive is not None:
        alive._follow(kind)


def give_back(message: Message) -> None:
    if not message.has_responded() and not message.is_async():
        try:
            message.requeue(backoff=False)
        except NSQException:
            # nsqd delivers it again anyway.
            return


#: For how many seconds handlers that run may still answer their messages when a consumer is closed.
_SHUTDOWN_TIMEOUT = 5.0
