"""What the clients of the HTTP APIs have in common under asyncio."""

from __future__ import annotations

from types import TracebackType
from typing import Any, TypeVar

from .. import _http_call
from .._http_call import Call
from ..httpclient import HTTPConnection
from ._bridge import outcome

T = TypeVar("T")
_Self = TypeVar("_Self", bound="HTTPClient")


class HTTPClient(HTTPConnection):
    """As :class:`gnsq.httpclient.HTTPClient`, with coroutines for methods. It may be used in any number of tasks at
    once, and in one event loop after the other. A request that is cancelled may have been carried out.

    It needs no opening: ``async with`` only closes the connections that it keeps, as :meth:`close` does.
    """

    async def ping(self) -> bytes:
        """Makes sure that the server is there and well: `b"OK"`."""
        return await self._call(_http_call.ping())

    async def info(self) -> Any:
        """What the server tells of itself: its version, and more of nsqd."""
        return await self._call(_http_call.info())

    async def close(self) -> None:
        """Closes the connections that are kept. Another request makes another one."""
        self._connect()

    async def _call(self, call: Call[T]) -> T:
        """Sends a request and waits for its answer.

        :raises NSQHttpError: for any status but 200
        :raises NSQSocketError: when the server can't be reached, or gives no answer in time
        """
        return call.parse(await outcome(self._begin(call)))

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
