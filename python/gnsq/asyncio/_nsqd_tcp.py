"""One connection to an nsqd under asyncio, with the commands of the protocol as they are."""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable
from logging import getLogger
from types import TracebackType
from typing import Any, Callable, TypeVar

from .. import _core, errors
from .._connection import CLOSED, ConnectionBase
from .._signal import Signal
from ._bridge import bridge, outcome, wait
from ._later import Later
from ._ready import Ready
from ._telling import finish, in_running_loop

_Self = TypeVar("_Self", bound="NsqdTCPClient")

_logger = getLogger("gnsq")


class NsqdTCPClient(ConnectionBase[Awaitable[None]]):
    """As :class:`gnsq.NsqdTCPClient`, with the same arguments, attributes and signals::

        async with NsqdTCPClient("127.0.0.1", 4150) as conn:
            await conn.identify()
            await conn.subscribe("orders", "kitchen")
            await conn.read_response()  # (FRAME_TYPE_RESPONSE, b"OK")
            await conn.ready(10)
            frame_type, message = await conn.read_response()
            message.finish()

    A command is sent at the call, awaited or not; to await it waits while too much is unsent. Whoever publishes much
    should. Receivers of signals may be coroutine functions, which run in tasks of their own.
    """

    _ready: Ready | None = None
    _let_go: Callable[[], object] | None = None

    async def connect(self) -> None:
        """Connects, and says which protocol is spoken. Does nothing when it is connected.

        :raises NSQSocketError: when nsqd can't be reached
        :raises NSQException: when it was closed before
        """
        if self.is_connected:
            return
        operation = self._begin_connect()
        hold = bridge().hold(self)
        try:
            self._opened(await outcome(operation))
        except BaseException:
            hold()
            raise
        self._let_go = hold

    async def identify(self) -> dict[str, Any] | None:
        """Tells nsqd who this is and asks for what the options say: the first command. TLS and compression begin with
        it, and if nsqd wants a secret, :meth:`auth` is called.

        :return: what nsqd grants; None where it only says OK
        :raises NSQException: when nsqd refuses, or grants no TLS though it was asked for
        """
        data = await self._ask(self._connected().identify)
        response, is_auth_required = self._granted(data)
        if is_auth_required:
            await self.auth()
        return response

    async def auth(self) -> Any:
        """Gives nsqd the `auth_secret`.

        :return: whom nsqd knows this client as: a dict
        :raises NSQUnauthorized: when there is none, or it allows nothing
        """
        return self._known_as(await self._ask(self._connected().auth, self._secret()))

    async def read_response(self) -> tuple[int, Any]:
        """Waits for what nsqd sends next, and tells the signals of it. A wait that is cancelled loses nothing.

        :return: the type of the frame (`FRAME_TYPE_…` of :mod:`gnsq.protocol`), and what it has: bytes, an error, or a
            :class:`~gnsq.Message`. An error is returned, not raised; a fatal one closes the connection. A heartbeat has
            its answer already.
        :raises NSQSocketError: when the connection has ended
        :raises NSQFrameError: when what nsqd sends is no frame
        """
        return self._read(await self._next())

    async def listen(self) -> None:
        """Reads until the connection is closed from this side.

        :raises NSQSocketError: when it ends otherwise
        """
        while self.is_connected:
            try:
                await self.read_response()
            except errors.NSQSocketError as error:
                if error is not self._end:
                    raise

    def close_stream(self) -> None:
        """Closes the connection, once all is sent. Messages that were not read yet go back to nsqd at once."""
        super().close_stream()
        if self._let_go is not None:
            self._let_go()

    async def _next(self) -> tuple[Any, ...]:
        if self._native is None:
            raise self._unconnected()
        events = self._native.events
        if self._ready is None:
            self._ready = Ready(events)
        while self.is_connected:
            event = events.pop()
            if event is not None:
                return event
            await self._ready.wait()
        return CLOSED

    async def _ask(self, ask: Callable[..., _core.Operation], *args: object) -> bytes:
        """Sends IDENTIFY or AUTH, and waits for its answer."""
        try:
            data: bytes = await outcome(ask(*args))
        except errors.NSQException as error:
            self._refused(error)
            raise
        self._accepted(data)
        return data

    def _send(self, command: bytes, *, is_answered: bool = False) -> Awaitable[None]:
        much = self._submit(command, is_answered)

        async def leave() -> None:
            if much is not None:
                await wait(much)

        return Later(leave)

    def _emit(self, signal: Signal, **kwargs: Any) -> None:
        for receiver in list(signal.receivers_for(self)) if signal.receivers and not signal.is_muted else ():
            result = receiver(self, **kwargs)
            if isawaitable(result):
                in_running_loop(finish(result, self, _logger))

    async def __aenter__(self: _Self) -> _Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_stream()
        if self._native is not None:
            await wait(self._native.closed(), self.timeout or None)
