"""Queues between a consumer and those who handle its messages."""

from __future__ import annotations

import threading
from collections import deque
from queue import Empty, Full
from typing import Any, Generic, TypeVar, Union, cast

from .. import _core, _modes

__all__ = ["ChannelHandler", "Empty", "Full", "QueueHandler"]

T = TypeVar("T")


class _Handler(Generic[T]):
    """Hands items from those who put them to those who get them, each in order of arrival. Threads and greenlets may
    share one: each waits in its own way."""

    def __init__(self, maxsize: int | None) -> None:
        # How many items may be here without a getter; None: any number.
        self._maxsize = maxsize
        self._lock = threading.Lock()
        self._items: deque[_Item[T]] = deque()
        # Nobody waits to get while there is an item or a putter.
        self._getters: deque[_Party[T]] = deque()
        self._putters: deque[_Party[T]] = deque()

    def __call__(self, consumer: object, message: T) -> None:
        """Makes the message async, and puts it. The receiver of ``on_message``."""
        cast(Any, message).enable_async()
        self.put(message)

    def __iter__(self) -> _Handler[T]:
        """Each item as it comes, until one is ``StopIteration``: put that to end an iteration."""
        return self

    def __next__(self) -> T:
        """Waits for the next item."""
        item = self.get()
        if item is StopIteration:
            raise StopIteration
        return item

    def put(self, item: _Item[T], block: bool = True, timeout: float | None = None) -> None:
        """Puts an item; waits if there is no place for it.

        :param block: whether to wait
        :param timeout: for how many seconds; None: for ever
        :raises queue.Full: if there still is no place
        """
        with self._lock:
            if self._place(item):
                return
            if not block:
                raise Full
            putter = _Party(item)
            self._putters.append(putter)
        met = False
        try:
            met = putter.wait(timeout)
        finally:
            if not met:
                with self._lock:
                    met = not _remove(self._putters, putter)
        if not met:
            raise Full

    def put_nowait(self, item: _Item[T]) -> None:
        """Puts an item without waiting.

        :raises queue.Full: if there is no place for it
        """
        self.put(item, block=False)

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Takes the first item; waits if there is none.

        :param block: whether to wait
        :param timeout: for how many seconds; None: for ever
        :raises queue.Empty: if there still is none
        """
        with self._lock:
            if self._items or self._putters:
                return cast(T, self._take())
            if not block:
                raise Empty
            getter: _Party[T] = _Party(None)
            self._getters.append(getter)
        try:
            met = getter.wait(timeout)
        except BaseException:
            with self._lock:
                if not _remove(self._getters, getter):
                    # It was given an item, and can't return it.
                    self._give_back(cast(T, getter.item))
            raise
        if not met:
            with self._lock:
                if _remove(self._getters, getter):
                    raise Empty
        return cast(T, getter.item)

    def get_nowait(self) -> T:
        """Takes the first item without waiting.

        :raises queue.Empty: if there is none
        """
        return self.get(block=False)

    def qsize(self) -> int:
        """How many items wait here."""
        return len(self._items)

    def empty(self) -> bool:
        """Whether no item waits here."""
        return not self._items

    def full(self) -> bool:
        """Whether there is no place for an item that nobody waits for."""
        return self._maxsize is not None and len(self._items) >= self._maxsize

    def _place(self, item: _Item[T]) -> bool:
        if self._getters:
            self._getters.popleft().meet(item)
            return True
        if self.full():
            return False
        self._items.append(item)
        return True

    def _take(self) -> _Item[T]:
        if not self._items:
            return self._putters.popleft().meet()
        item = self._items.popleft()
        if self._putters and not self.full():
            self._items.append(self._putters.popleft().meet())
        return item

    def _give_back(self, item: _Item[T]) -> None:
        """To where it was: before all others."""
        if self._getters:
            self._getters.popleft().meet(item)
        else:
            self._items.appendleft(item)


class QueueHandler(_Handler[T]):
    """A queue of messages, each of which whoever takes it has to answer.

    ::

        queue = QueueHandler()
        consumer = Consumer("topic", "channel", "localhost", max_in_flight=16)
        consumer.on_message.connect(queue)
        consumer.start(block=False)

        for message in queue:
            handle(message.body)
            message.finish()

    A message's time runs while it waits here, too.
    """

    def __init__(self, maxsize: int | None = None) -> None:
        """With ``maxsize`` messages in it, a handler that has another one waits. Without, the queue has as many as the
        consumer has in flight."""
        super().__init__(maxsize or None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} maxsize={self._maxsize} qsize={self.qsize()}>"

    @property
    def maxsize(self) -> int | None:
        """How many messages it takes; None: any number."""
        return self._maxsize


class ChannelHandler(_Handler[T]):
    """A queue without a place to wait: a put lasts until a get takes the message, and so does the consumer's handler.

    It is used as a :class:`QueueHandler`, where a message is better not there than waiting.
    """

    def __init__(self) -> None:
        super().__init__(0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} getters={len(self._getters)} putters={len(self._putters)}>"


#: `StopIteration` ends an iteration.
_Item = Union[T, type[StopIteration]]


class _Party(Generic[T]):
    """Someone who waits for someone else."""

    __slots__ = ("_met", "item")

    def __init__(self, item: _Item[T] | None) -> None:
        # A putter's own; a getter's when it has been met.
        self.item = item
        self._met = _core.Operation.manual()

    def meet(self, item: _Item[T] | None = None) -> _Item[T]:
        """Ends the wait, with an item for a getter; returns the item of a putter."""
        if item is not None:
            self.item = item
        self._met.set()
        return cast("_Item[T]", self.item)

    def wait(self, timeout: float | None) -> bool:
        """Waits until it is met, for up to `timeout` seconds; tells whether it is."""
        if timeout is not None and timeout <= 0:
            return False
        return _modes.current().wait(self._met, timeout)


def _remove(parties: deque[_Party[T]], party: _Party[T]) -> bool:
    """Whether it was still there."""
    try:
        parties.remove(party)
    except ValueError:
        return False
    return True
