"""`gnsq.asyncio` behind methods that block: its clients run in a loop of another thread, handlers as coroutines."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import gnsq.asyncio


class AsyncApi:
    """Has a `Producer` and a `Consumer`, as `gnsq` has."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="loop", daemon=True).start()

    def Producer(self, *args: Any, **kwargs: Any) -> BlockingProducer:
        """As the class of that name."""
        return BlockingProducer(self._loop, gnsq.asyncio.Producer(*args, **kwargs))

    def Consumer(self, *args: Any, message_handler: Any = None, **kwargs: Any) -> BlockingConsumer:
        """As the class of that name."""
        consumer = BlockingConsumer(self._loop, gnsq.asyncio.Consumer(*args, **kwargs))
        if message_handler is not None:
            consumer.on_message.connect(message_handler, weak=False)
        return consumer


class Blocking:
    """A client whose coroutines are waited for. What it doesn't know is the client's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Any) -> None:
        self._loop = loop
        self._client = client

    def start(self, **kwargs: Any) -> None:
        """Waits for the client's."""
        self._run(self._client.start(**kwargs))

    def join(self, timeout: float | None = None, raise_error: bool = False) -> None:
        """Waits for the client's."""
        self._run(self._client.join(timeout, raise_error))

    def __enter__(self) -> Any:
        self._run(self._client.__aenter__())
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._run(self._client.__aexit__(*exc_info))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __repr__(self) -> str:
        return repr(self._client)

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class BlockingProducer(Blocking):
    """A producer."""

    def publish(self, *args: Any, raise_error: bool = True, **kwargs: Any) -> Any:
        """Waits for the producer's; without `raise_error` it gives a future to come."""
        return self._publish(self._client.publish, args, kwargs, raise_error)

    def multipublish(self, *args: Any, raise_error: bool = True, **kwargs: Any) -> Any:
        """Waits for the producer's; without `raise_error` it gives a future to come."""
        return self._publish(self._client.multipublish, args, kwargs, raise_error)

    def connect_to_nsqd(self, address: str, port: int) -> None:
        """Waits for the producer's."""
        self._run(self._client.connect_to_nsqd(address, port))

    def _publish(self, publish: Any, args: Any, kwargs: Any, raise_error: bool) -> Any:
        if raise_error:
            return self._run(publish(*args, **kwargs))
        return BlockingResult(self._run(_submit(publish, args, kwargs)))


class BlockingResult:
    """The outcome to come of a publish."""

    def __init__(self, future: asyncio.Future[bytes]) -> None:
        self._loop = future.get_loop()
        self._future = future

    def get(self, block: bool = True, timeout: float | None = None) -> bytes:
        """Waits for it."""
        if not block and not self.ready():
            raise TimeoutError
        return asyncio.run_coroutine_threadsafe(_value(self._future), self._loop).result(timeout)

    def wait(self, timeout: float | None = None) -> bytes | None:
        """Waits for it, and raises nothing."""
        try:
            return self.get(timeout=timeout)
        except Exception:
            return None

    def ready(self) -> bool:
        """Whether it is there."""
        return self._future.done()

    def successful(self) -> bool:
        """Whether it is there, and is no failure."""
        return self.ready() and self._future.exception() is None

    @property
    def value(self) -> bytes | None:
        """The answer, if there is one."""
        return self._future.result() if self.successful() else None

    @property
    def exception(self) -> BaseException | None:
        """The failure, if there is one."""
        return self._future.exception() if self.ready() else None


class BlockingConsumer(Blocking):
    """A consumer, whose handlers may block."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Any) -> None:
        super().__init__(loop, client)
        self.on_message = Handlers(client.on_message)


class Handlers:
    """The signal `on_message`, for handlers that are no coroutines: each is run in a thread, and awaited."""

    def __init__(self, signal: Any) -> None:
        self._signal = signal
        self._adapted: list[tuple[Callable[[], Any], Any]] = []

    def connect(self, handler: Any, weak: bool = True) -> None:
        """As of the signal."""
        reference: Callable[[], Any]
        if not weak:
            reference = lambda: handler  # noqa: E731
        elif hasattr(handler, "__self__"):
            reference = weakref.WeakMethod(handler)
        else:
            reference = weakref.ref(handler)

        async def adapted(consumer: Any, message: Any) -> None:
            alive = reference()
            if alive is not None:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(_threads, lambda: alive(consumer, message=message))

        self._adapted.append((reference, adapted))
        self._signal.connect(adapted, weak=False)

    def disconnect(self, handler: Any) -> None:
        """As of the signal."""
        for reference, adapted in self._adapted:
            if reference() == handler:
                self._signal.disconnect(adapted)


async def _submit(publish: Any, args: Any, kwargs: Any) -> Any:
    return await publish(*args, raise_error=False, **kwargs)


async def _value(future: asyncio.Future[bytes]) -> bytes:
    return await future


_threads = ThreadPoolExecutor(64, thread_name_prefix="handler")
