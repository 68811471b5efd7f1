"""`gnsq.asyncio` behind methods that block, so that one suite tests all ways to wait: its loop runs in a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from functools import partial
from typing import Any, Callable

import gnsq.asyncio


class AsyncApi:
    """Has the names of `gnsq`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def __getattr__(self, name: str) -> Callable[..., Client]:
        return partial(Client, self, getattr(gnsq.asyncio, name))

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls it in the loop, and waits for what it gives."""

        async def work() -> Any:
            given = function(*args, **kwargs)
            if inspect.isawaitable(given):
                given = await given
            # What a publish gives that was not to be waited for.
            return Result(self._loop, given) if asyncio.isfuture(given) else given

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()


class Client:
    """A client of asyncio. Its signals are sent by the client itself, in the loop."""

    def __init__(self, api: AsyncApi, kind: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._api = api
        self._client = api.call(kind, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        return partial(self._api.call, value) if inspect.ismethod(value) else value

    def __enter__(self) -> Client:
        self._api.call(self._client.__aenter__)
        return self

    def __exit__(self, *error: object) -> None:
        self._api.call(self._client.__aexit__, *error)

    def __repr__(self) -> str:
        return repr(self._client)


class Result:
    """A future of asyncio, asked as other results are."""

    def __init__(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
        self._future: concurrent.futures.Future[Any] = asyncio.run_coroutine_threadsafe(_outcome(future), loop)

    def get(self, timeout: float | None = None) -> Any:
        """The value, or raises."""
        return self._future.result(timeout)

    def ready(self) -> bool:
        """Whether it is there."""
        return self._future.done()

    def successful(self) -> bool:
        """Whether it is a value."""
        return self.ready() and self._future.exception() is None

    @property
    def value(self) -> Any:
        """The value, if there is one."""
        return self._future.result() if self.successful() else None

    @property
    def exception(self) -> BaseException | None:
        """What it raises, if it is there."""
        return self._future.exception() if self.ready() else None


async def _outcome(future: asyncio.Future[Any]) -> Any:
    return await future
