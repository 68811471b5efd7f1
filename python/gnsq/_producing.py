"""What all producers have, however they wait: where they publish to, their state, and what they tell."""

from __future__ import annotations

import logging
import time
import warnings
import weakref
from collections.abc import Generator, Iterable
from functools import partial
from typing import Any, Callable

from . import _core, _lifecycle, _options
from ._address import join_host_port
from ._modes import Waitable
from ._peer import Peer
from ._signal import Signal
from ._tell import tell
from .errors import NSQException, NSQNoConnections
from .states import CLOSED, INIT, RUNNING
from .util import normalize_nsqd_address, parse_nsqds

logger = logging.getLogger("gnsq.producer")

_NAMES = {INIT: "not started", RUNNING: "running", CLOSED: "closed"}


class ProducerBase:
    """A producer, but for what waits. Nothing here blocks."""

    #: How many publishes may be without an answer at once: the next one waits. Set it before the start.
    max_outstanding: int = 10_000

    #: How many bytes of messages may be without an answer at once. Set it before the start.
    max_outstanding_bytes: int = 64 * 1024 * 1024

    #: nsqd's `--max-msg-size`: a larger message is refused here, since nsqd would close the connection. Set it before
    #: the start.
    max_msg_size: int = 1024 * 1024

    #: nsqd's `--max-body-size`, for what is published with one `multipublish`. Set it before the start.
    max_body_size: int = 5 * 1024 * 1024

    def __init__(
        self,
        nsqd_tcp_addresses: str | Iterable[str] = (),
        max_backoff_duration: float = 128,
        **connection_options: Any,
    ) -> None:
        self.nsqd_tcp_addresses: set[str] = parse_nsqds(nsqd_tcp_addresses)
        if not self.nsqd_tcp_addresses:
            raise ValueError("name at least one nsqd: nsqd_tcp_addresses is empty")
        self.max_backoff_duration = max_backoff_duration
        self._options = _options.parse(connection_options)
        self._state = INIT
        self._native: _core.Producer | None = None
        self._generation = _lifecycle.generation()
        self._followed: set[str] = set()
        self.on_response = self._signal("response", "Sent with `response` (bytes) when nsqd has answered a command.")
        self.on_error = self._signal("error", "Sent with `error` (an exception) when nsqd has refused something.")
        self.on_auth = self._signal(
            "auth", "Sent with `conn` (the nsqd) and `response` (a dict) when nsqd has accepted the secret."
        )
        self.on_close = Signal("Sent once, when the producer has been closed.")

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and not closed."""
        return self._state == RUNNING and self._generation == _lifecycle.generation()

    def _open(self) -> bool:
        """Makes the native producer, which connects; False when there is one already."""
        if self._state == CLOSED:
            raise NSQException("the producer is closed, and can't be started again: make a new one")
        if self._state == RUNNING:
            self._running().outstanding()
            text = "the producer is running already: this start does nothing"
            logger.warning(text)
            warnings.warn(text, RuntimeWarning, stacklevel=3)
            return False
        self._native = _core.Producer(
            sorted(self.nsqd_tcp_addresses),
            self._options.native(),
            max_backoff_duration=float(self.max_backoff_duration),
            max_outstanding=self.max_outstanding,
            max_outstanding_bytes=self.max_outstanding_bytes,
            max_msg_size=self.max_msg_size,
            max_body_size=self.max_body_size,
            follow=sorted(self._followed),
        )
        self._generation = _lifecycle.generation()
        self._state = RUNNING
        _lifecycle.started(self)
        return True

    def _running(self) -> _core.Producer:
        """The native producer.

        :raises NSQException: when it isn't running
        """
        native = self._native
        if native is None or self._state != RUNNING:
            raise NSQException(
                "the producer is closed" if self._state == CLOSED else "the producer is not running: start() it first"
            )
        return native

    def _add(self, address: str, port: int) -> None:
        """Adds an nsqd, to which a running producer begins to connect."""
        name = normalize_nsqd_address(join_host_port(address, port))
        if self._state == CLOSED:
            raise NSQException("the producer is closed")
        if self._state == RUNNING:
            self._running().add_nsqd(name)
        self.nsqd_tcp_addresses.add(name)

    def _signal(self, kind: str, doc: str) -> Signal:
        # Weak, so that a producer that nobody has any more is gone at once.
        return Signal(doc, on_connect=partial(_follow, weakref.ref(self), kind))

    def _follow(self, kind: str) -> None:
        """Somebody listens to a kind of event."""
        if kind in self._followed:
            return
        self._followed.add(kind)
        if self.is_running:
            self._running().follow(kind)
            self._listen()

    def _listen(self) -> None:
        """Has events delivered, from the first call on."""
        raise NotImplementedError

    def _deliver(self, event: tuple[Any, ...]) -> None:
        """Tells the receivers of one event."""
        kind, *rest = event
        if kind == "response":
            self._notify(self.on_response, response=rest[1])
        elif kind == "error":
            self._notify(self.on_error, error=rest[1])
        elif kind == "auth":
            self._notify(self.on_auth, conn=Peer(rest[0]), response=rest[1])

    def _notify(self, signal: Signal, **kwargs: Any) -> None:
        """Tells the receivers of a signal of what they can't prevent."""
        tell(signal, self, **kwargs)

    def _submitting(
        self, submit: Callable[[_core.Producer, float | None], _core.Publish | None], wait: float | None
    ) -> Generator[tuple[Waitable, float | None], bool, _core.Publish]:
        """Submits what there was no connection or no room for, once there is. It gives what is to be waited for, and
        for how many seconds, and is sent whether that is ready."""
        deadline = None if wait is None else time.monotonic() + wait
        while True:
            native = self._running()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not native.is_connected():
                if left == 0.0:
                    raise self._no_connections(native, wait)
                connected = native.connected()
                try:
                    if not (yield connected, left):
                        raise self._no_connections(native, wait)
                    connected.result()
                finally:
                    connected.cancel()
            elif not native.has_room():
                if left == 0.0 or not (yield native.room(), left):
                    raise self._no_room(native, wait)
            else:
                publish = submit(native, left)
                if publish is not None:
                    return publish

    def _attempted(self) -> _core.Operation:
        """Done when there was an attempt to connect to each nsqd, or it takes too long to be waited for."""
        longest = min(_TIME_TO_CONNECT, self._options.timeout or _TIME_TO_CONNECT)
        return self._running().attempted(longest)

    @staticmethod
    def _no_room(native: _core.Producer, waited: float | None) -> NSQException:
        return NSQException(f"{native.outstanding()} publishes are outstanding{_after(waited)}: no room for more")

    @staticmethod
    def _no_connections(native: _core.Producer, waited: float | None) -> NSQNoConnections:
        last = native.last_failure()
        return NSQNoConnections(f"no nsqd is connected{_after(waited)}{f', last: {last}' if last else ''}")

    def _begin_exit(self) -> None:
        if self.is_running and self._native is not None:
            self._state = CLOSED
            self._exit = self._native.close()

    def _exited(self, timeout: float) -> None:
        if self._exit is not None:
            self._exit.wait(timeout)

    _exit: _core.Operation | None = None

    def __repr__(self) -> str:
        nsqds = ", ".join(sorted(self.nsqd_tcp_addresses))
        state = _NAMES[self._state]
        if self.is_running and self._native is not None:
            state += f", {len(self._native.connections())} connected, {self._native.outstanding()} outstanding"
        elif self._state == RUNNING:
            state = "of a parent process"
        return f"<{type(self).__module__}.{type(self).__qualname__} {nsqds}: {state}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} has connections and can't be pickled: make one in each process")


def _after(waited: float | None) -> str:
    return f" after {waited} s" if waited else ""


def _follow(producer: weakref.ref[ProducerBase], kind: str) -> None:
    there = producer()
    if there is not None:
        there._follow(kind)


#: For how many seconds a start waits for the first attempts to connect.
_TIME_TO_CONNECT = 5.0
