"""A connection to an nsqd, command by command, however one waits for what nsqd sends."""

from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from . import _core, _lifecycle, _options, errors, protocol, states
from ._address import bare_host, join_host_port
from ._http_call import Data, Name
from ._nsqd_message import NsqdMessage
from ._signal import Signal

#: What a command returns.
_Sent = TypeVar("_Sent")

_MAX_PORT = 65535

#: How many messages nsqd lets a connection have in flight, until it has told: its default.
_MAX_READY_COUNT = 2500


class ConnectionBase(Generic[_Sent]):
    """A connection, but for what waits."""

    def __init__(
        self,
        address: str = "127.0.0.1",
        port: int = 4150,
        timeout: float = 60.0,
        client_id: str | None = None,
        hostname: str | None = None,
        heartbeat_interval: float = 30,
        output_buffer_size: int = 16384,
        output_buffer_timeout: int = 250,
        tls_v1: bool = False,
        tls_options: Mapping[str, Any] | None = None,
        snappy: bool = False,
        deflate: bool = False,
        deflate_level: int = 6,
        sample_rate: int = 0,
        auth_secret: str | bytes | None = None,
        user_agent: str = _options.Options.user_agent,
        *,
        message_timeout: int | None = None,
        compression: str | None = None,
    ) -> None:
        if not isinstance(address, str):
            raise TypeError(f"address must be a str, and is {type(address).__name__}")
        options = _options.Options(
            timeout=timeout,
            client_id=client_id,
            hostname=hostname,
            heartbeat_interval=heartbeat_interval,
            output_buffer_size=output_buffer_size,
            output_buffer_timeout=output_buffer_timeout,
            tls_v1=tls_v1,
            tls_options=tls_options,
            snappy=snappy,
            deflate=deflate,
            deflate_level=deflate_level,
            sample_rate=sample_rate,
            auth_secret=auth_secret,
            user_agent=user_agent,
            message_timeout=message_timeout,
            compression=compression,
        )
        # What can't be used is told here, and read again when it connects.
        options.native()
        self.address = address
        self.port = int(port)
        if not 0 < self.port <= _MAX_PORT:
            raise ValueError(f"{port} is no port")
        for name in _options.NAMES:
            setattr(self, name, getattr(options, name))
        #: Milliseconds between nsqd's heartbeats.
        self.heartbeat_interval = int(heartbeat_interval * 1000)

        #: One of :mod:`gnsq.states`: `INIT`, `CONNECTED` or `DISCONNECTED`.
        self.state = states.INIT
        #: How many messages nsqd may have in flight here: what :meth:`ready` told it last.
        self.ready_count = 0
        #: How many messages were read and not answered yet.
        self.in_flight = 0
        #: The most that nsqd takes for a ready count.
        self.max_ready_count = _MAX_READY_COUNT
        #: When something of nsqd was read last (unix time, s), and when a message.
        self.last_response: float | None = None
        self.last_message: float | None = None
        self._native: _core.TcpClient | None = None
        # What a reader was told when the connection was closed from this side.
        self._end: errors.NSQSocketError | None = None
        self._counting = threading.Lock()

        self.on_message = Signal("A message was read. `receiver(conn, message=message)`")
        self.on_response = Signal("An answer of nsqd, or a heartbeat, was read. `receiver(conn, response=data)`")
        self.on_error = Signal("An error of nsqd was read. `receiver(conn, error=error)`")
        self.on_finish = Signal("A message was finished. `receiver(conn, message_id=id)`")
        self.on_requeue = Signal("A message was requeued. `receiver(conn, message_id=id, timeout=ms, backoff=backoff)`")
        self.on_auth = Signal("nsqd has accepted the secret. `receiver(conn, response=parsed)`")
        self.on_close = Signal("The connection was closed. `receiver(conn)`")

    timeout: float
    client_id: str | None
    hostname: str | None
    output_buffer_size: int
    output_buffer_timeout: int
    tls_v1: bool
    tls_options: Mapping[str, Any] | None
    snappy: bool
    deflate: bool
    deflate_level: int
    sample_rate: int
    auth_secret: str | bytes | None
    user_agent: str
    message_timeout: int | None
    compression: str | None

    @property
    def is_connected(self) -> bool:
        """Whether it is connected, as far as was read."""
        return self.state == states.CONNECTED

    @property
    def is_starved(self) -> bool:
        """Whether nearly all that nsqd may send is here and waits for its answer."""
        return self.in_flight >= max(self.ready_count * 0.85, 1)

    # Commands

    def subscribe(self, topic: Name, channel: Name) -> _Sent:
        """Asks for the messages of a channel (SUB); nsqd answers OK, and sends them after :meth:`ready`.

        :raises ValueError: for a bad name
        """
        return self._send(protocol.subscribe(topic, channel), is_answered=True)

    def publish(self, topic: Name, data: Data, defer: int | None = None) -> _Sent:
        """Publishes a message (PUB), to be delivered after `defer` ms (DPUB); nsqd answers OK, which
        :meth:`read_response` gives.

        :raises ValueError: for a bad name
        """
        if defer is None:
            command = protocol.publish(topic, _body(data))
        else:
            command = protocol.deferpublish(topic, _body(data), defer)
        return self._send(command, is_answered=True)

    def multipublish(self, topic: Name, messages: Iterable[Data]) -> _Sent:
        """Publishes several messages with one command (MPUB); nsqd answers OK once.

        :raises ValueError: for a bad name
        """
        if isinstance(messages, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"messages must be several, and this is one {type(messages).__name__}")
        return self._send(protocol.multipublish(topic, [_body(message) for message in messages]), is_answered=True)

    def ready(self, count: int) -> _Sent:
        """Allows nsqd to have `count` messages in flight here (RDY).

        :raises ValueError: if it is negative
        """
        sent = self._send(protocol.ready(count))
        self.ready_count = count
        return sent

    def finish(self, message_id: bytes | str) -> _Sent:
        """The message is done (FIN)."""
        sent = self._send(protocol.finish(_message_id(message_id)))
        self._answered()
        self._emit(self.on_finish, message_id=message_id)
        return sent

    def requeue(self, message_id: bytes | str, timeout: int = 0, backoff: bool = True) -> _Sent:
        """The message goes back, to be delivered again after `timeout` ms (REQ). `backoff` is passed on to receivers of
        `on_requeue`."""
        command = protocol.requeue(_message_id(message_id), timeout)
        if timeout < 0:
            raise ValueError(f"timeout can't be negative, and it is {timeout}")
        sent = self._send(command)
        self._answered()
        self._emit(self.on_requeue, message_id=message_id, timeout=timeout, backoff=backoff)
        return sent

    def touch(self, message_id: bytes | str) -> _Sent:
        """Asks for more time for the message (TOUCH)."""
        return self._send(protocol.touch(_message_id(message_id)))

    def close(self) -> _Sent:
        """Asks for no more messages (CLS); nsqd answers CLOSE_WAIT. :meth:`close_stream` ends the connection."""
        return self._send(protocol.close(), is_answered=True)

    def nop(self) -> _Sent:
        """Does nothing, on the wire (NOP)."""
        return self._send(protocol.nop())

    # Its end

    def close_stream(self) -> None:
        """Closes the connection, once all is sent. Messages that were not read yet go back to nsqd at once."""
        if not self.is_connected:
            return
        self.state = states.DISCONNECTED
        _lifecycle.ended(self)
        if self._native is not None:
            self._native.close()
        self._emit(self.on_close)

    def ensure_connected(self) -> None:
        """Does nothing, if it is connected.

        :raises NSQSocketError: unless it is
        """
        self._connected()

    # What is sent

    def _send(self, command: bytes, *, is_answered: bool = False) -> _Sent:
        """Sends a command. What it returns waits, or has waited, until not too much is unsent."""
        raise NotImplementedError

    def _submit(self, command: bytes, is_answered: bool) -> _core.Operation | None:
        """Sends a command; gives what to wait for when much is unsent."""
        native = self._connected()
        if is_answered:
            # Whoever reads now wants the answer.
            native.events.forget_heartbeat()
        try:
            return native.send(command, is_answered)
        except errors.NSQException:
            if not native.is_connected():
                self.close_stream()
            raise

    # What comes

    def _read(self, event: tuple[Any, ...]) -> tuple[int, Any]:
        """Does what the event means for this object, and tells of it."""
        kind = event[0]
        if kind == "end":
            self.close_stream()
            if event[1] is not None:
                raise event[1]
            self._end = self._unconnected()
            raise self._end
        now = self.last_response = time.time()
        if kind == "message":
            self.last_message = now
            message = NsqdMessage(self, *event[1:])
            with self._counting:
                self.in_flight += 1
            self._emit(self.on_message, message=message)
            return protocol.FRAME_TYPE_MESSAGE, message
        if kind == "error":
            error = event[2]
            self._fail(error)
            return protocol.FRAME_TYPE_ERROR, error
        data = protocol.HEARTBEAT if kind == "heartbeat" else event[2]
        self._emit(self.on_response, response=data)
        return protocol.FRAME_TYPE_RESPONSE, data

    def _fail(self, error: Exception) -> None:
        """An error of nsqd has come."""
        try:
            self._emit(self.on_error, error=error)
        finally:
            # Of an error that is not known, nsqd closes the connection too.
            if getattr(error, "fatal", True):
                self.close_stream()

    def _emit(self, signal: Signal, **kwargs: Any) -> None:
        """Sends a signal."""
        signal.send(self, **kwargs)

    def _refused(self, error: errors.NSQException) -> None:
        """IDENTIFY or AUTH has failed."""
        if not self.is_connected:
            return
        if error.args and isinstance(error.args[0], bytes):
            self.last_response = time.time()
            self._fail(error)
        elif not self._connected().is_connected():
            self.close_stream()

    def _accepted(self, data: bytes) -> None:
        """IDENTIFY or AUTH has its answer."""
        self.last_response = time.time()
        self._emit(self.on_response, response=data)

    def _granted(self, data: bytes) -> tuple[dict[str, Any] | None, bool]:
        """What nsqd has answered to IDENTIFY, and whether it requires AUTH."""
        if data == protocol.OK:
            return None, False
        response: dict[str, Any] = json.loads(data)
        self.max_ready_count = response.get("max_rdy_count") or self.max_ready_count
        return response, bool(response.get("auth_required"))

    def _known_as(self, data: bytes) -> Any:
        """What nsqd has answered to AUTH."""
        response = json.loads(data)
        self._emit(self.on_auth, response=response)
        return response

    # Its state

    def _begin_connect(self) -> _core.Operation:
        self._check_unclosed()
        return _core.TcpClient.connect(bare_host(self.address), self.port, self._native_options())

    def _opened(self, native: _core.TcpClient) -> None:
        """It has connected."""
        if self.state != states.INIT:
            # Somebody else has connected or closed it meanwhile.
            native.close()
            self._check_unclosed()
            return
        self._native = native
        self.state = states.CONNECTED
        _lifecycle.started(self)

    def _secret(self) -> bytes:
        secret = self.auth_secret
        self._connected()
        if not secret:
            raise errors.NSQUnauthorized(f"{self} requires AUTH, and there is no auth_secret to give")
        return secret.encode() if isinstance(secret, str) else bytes(secret)

    def _answered(self) -> None:
        with self._counting:
            self.in_flight = max(self.in_flight - 1, 0)

    def _connected(self) -> _core.TcpClient:
        if self._native is None or not self.is_connected:
            raise self._unconnected()
        return self._native

    def _unconnected(self) -> errors.NSQSocketError:
        return errors.NSQSocketError(errno.ENOTCONN, f"not connected to {self}")

    def _check_unclosed(self) -> None:
        if self.state == states.DISCONNECTED:
            raise errors.NSQException(f"the connection to {self} was closed: make another one")

    def _native_options(self) -> _core.ConnectionOptions:
        """Read when it connects: programs may have changed the attributes."""
        options = {name: getattr(self, name) for name in _options.NAMES}
        options["heartbeat_interval"] = self.heartbeat_interval / 1000
        options["compression"] = None
        return _options.Options(**options).native()

    def _begin_exit(self) -> None:
        if self._native is not None:
            self._native.close()

    def _exited(self, timeout: float) -> object:
        return self._native is None or self._native.closed().wait(timeout)

    def __str__(self) -> str:
        return join_host_port(self.address, self.port)

    def __repr__(self) -> str:
        state = {states.INIT: "not connected", states.CONNECTED: "connected"}.get(self.state, "closed")
        flow = f" ready_count={self.ready_count} in_flight={self.in_flight}" if self.is_connected else ""
        return f"<{type(self).__name__} {self} {state}{flow}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} can't be pickled: it is a connection; pickle its address and port")

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, ConnectionBase) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return str(self) < str(other) if isinstance(other, ConnectionBase) else NotImplemented

    def __le__(self, other: object) -> bool:
        return str(self) <= str(other) if isinstance(other, ConnectionBase) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return str(self) > str(other) if isinstance(other, ConnectionBase) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return str(self) >= str(other) if isinstance(other, ConnectionBase) else NotImplemented


#: The end that was asked for.
CLOSED = ("end", None)


def _body(data: Data) -> bytes:
    """A body as bytes: of a str its UTF-8."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"a body must be bytes or str, and this is {type(data).__name__}")


def _message_id(message_id: bytes | str) -> bytes:
    if isinstance(message_id, str):
        message_id = message_id.encode()
    elif not isinstance(message_id, bytes):
        raise TypeError(f"a message id must be bytes, and this is {type(message_id).__name__}")
    if len(message_id) != _ID_SIZE or b" " in message_id or b"\n" in message_id:
        raise ValueError(f"{message_id!r} is no message id: it has {_ID_SIZE} bytes")
    return message_id


_ID_SIZE = 16
