"""One connection to an nsqd, with the commands of the protocol as they are."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, TypeVar

from . import _core, _modes, errors
from ._connection import CLOSED, ConnectionBase

_Self = TypeVar("_Self", bound="NsqdTCPClient")


class NsqdTCPClient(ConnectionBase[None]):
    """One connection to an nsqd: each method is a command, sent at the call, and :meth:`read_response` gives what nsqd
    sends, as it comes::

        conn = NsqdTCPClient("127.0.0.1", 4150)
        conn.connect()
        conn.identify()
        conn.subscribe("orders", "kitchen")
        conn.read_response()  # (FRAME_TYPE_RESPONSE, b"OK")
        conn.ready(10)
        frame_type, message = conn.read_response()
        message.finish()
        conn.close_stream()

    It does not reconnect, and gives out no RDY of its own: :class:`~gnsq.Producer` and :class:`~gnsq.Consumer` do.
    Times are in seconds but `output_buffer_timeout`, which is in ms. Heartbeats are answered whether anybody reads or
    not. In a `with` block it is connected, and closed behind it. All methods may be called from any thread or
    greenlet.
    """

    def connect(self) -> None:
        """Connects, and says which protocol is spoken. Does nothing when it is connected.

        :raises NSQSocketError: when nsqd can't be reached
        :raises NSQException: when it was closed before
        """
        if self.is_connected:
            return
        self._opened(self._outcome(self._begin_connect()))

    def identify(self) -> dict[str, Any] | None:
        """Tells nsqd who this is and asks for what the options say: the first command. TLS and compression begin with
        it, and if nsqd wants a secret, :meth:`auth` is called.

        :return: what nsqd grants; None where it only says OK
        :raises NSQException: when nsqd refuses, or grants no TLS though it was asked for
        """
        data = self._ask(self._connected().identify)
        response, is_auth_required = self._granted(data)
        if is_auth_required:
            self.auth()
        return response

    def auth(self) -> Any:
        """Gives nsqd the `auth_secret`.

        :return: whom nsqd knows this client as: a dict
        :raises NSQUnauthorized: when there is none, or it allows nothing
        """
        return self._known_as(self._ask(self._connected().auth, self._secret()))

    def read_response(self) -> tuple[int, Any]:
        """Waits for what nsqd sends next, and tells the signals of it.

        :return: the type of the frame (`FRAME_TYPE_…` of :mod:`gnsq.protocol`), and what it has: bytes, an error, or a
            :class:`~gnsq.Message`. An error is returned, not raised; a fatal one closes the connection. A heartbeat has
            its answer already.
        :raises NSQSocketError: when the connection has ended
        :raises NSQFrameError: when what nsqd sends is no frame
        """
        return self._read(self._next())

    def listen(self) -> None:
        """Reads until the connection is closed from this side.

        :raises NSQSocketError: when it ends otherwise
        """
        while self.is_connected:
            try:
                self.read_response()
            except errors.NSQSocketError as error:
                if error is not self._end:
                    raise

    def _next(self) -> tuple[Any, ...]:
        if self._native is None:
            raise self._unconnected()
        events = self._native.events
        while self.is_connected:
            event = events.pop()
            if event is not None:
                return event
            _modes.current().wait(events)
        return CLOSED

    def _ask(self, ask: Callable[..., _core.Operation], *args: object) -> bytes:
        """Sends IDENTIFY or AUTH, and waits for its answer."""
        try:
            data: bytes = self._outcome(ask(*args))
        except errors.NSQException as error:
            self._refused(error)
            raise
        self._accepted(data)
        return data

    def _send(self, command: bytes, *, is_answered: bool = False) -> None:
        much = self._submit(command, is_answered)
        if much is not None:
            _modes.current().wait(much)

    @staticmethod
    def _outcome(operation: _core.Operation) -> Any:
        try:
            _modes.current().wait(operation)
        except BaseException:
            operation.cancel()
            raise
        return operation.result()

    def __enter__(self: _Self) -> _Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_stream()
