"""Handles messages by the batch."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from typing import Any, Callable, Generic, TypeVar

from .. import _core, _modes
from ..errors import NSQException, NSQRequeueMessage
from ._pool import Pool
from ._types import Message, Starving

__all__ = ["BatchHandler"]

_logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)


class BatchHandler(Generic[M]):
    """Gathers messages, and handles them together.

    ::

        def insert(rows):
            database.executemany("INSERT ...", rows)

        handler = BatchHandler(100, handle_batch=insert, handle_message=lambda message: json.loads(message.body))
        consumer = Consumer("topic", "channel", "localhost", max_in_flight=100)
        consumer.on_message.connect(handler)
        consumer.start()

    A batch is handled when it is full; or, with a ``RuntimeWarning``, when the consumer is starved, which is when it
    can't get more messages before these have been answered; or ``timeout`` seconds after the last message. It is to be
    ``max_in_flight`` that is large enough for batches, counted for each nsqd.

    The four handlers are given as functions, or are overridden in a subclass. Messages that a handler has answered are
    left alone. May be called by several threads or greenlets at once.
    """

    def __init__(
        self,
        batch_size: int,
        handle_batch: Callable[[list[Any]], object] | None = None,
        handle_message: Callable[[M], Any] | None = None,
        handle_batch_error: Callable[[Exception, list[M], list[Any]], object] | None = None,
        handle_message_error: Callable[[Exception, M], object] | None = None,
        timeout: float | None = 10,
        spawn: Callable[..., object] | int | None = None,
    ) -> None:
        """Makes a handler.

        :param batch_size: how many messages make a batch
        :param timeout: seconds from the last message to the handling of a batch that isn't full; None: it has to be
        :param spawn: what runs a batch: called with a function and its arguments, as ``gevent.spawn`` or the ``spawn``
            of a pool; or how many batches may run at a time; None: each in a thread or greenlet of its own
        :raises ValueError: if there is nothing in a batch, or nothing to run it
        """
        if batch_size < 1:
            raise ValueError(f"a batch has at least 1 message, and this has {batch_size}")
        self.batch_size = batch_size
        self.timeout = timeout
        given = {
            "handle_batch": handle_batch,
            "handle_message": handle_message,
            "handle_batch_error": handle_batch_error,
            "handle_message_error": handle_message_error,
        }
        for name, handler in given.items():
            if handler is not None:
                setattr(self, name, handler)
        # What waits in a pool is bounded by the consumer's `max_in_flight`: it is all unanswered.
        self._spawn = Pool(spawn, "gnsq-batch").spawn if isinstance(spawn, int) else spawn or _spawn
        self._lock = threading.Lock()
        self._messages: list[M] = []
        self._timer: _Timer | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._messages)} of {self.batch_size} messages>"

    def __call__(self, consumer: Starving, message: M) -> None:
        """Takes the message into the batch. The receiver of ``on_message``."""
        message.enable_async()
        with self._lock:
            self._messages.append(message)
            full = self._take() if len(self._messages) >= self.batch_size else []
        if full:
            self._run(full)
        elif consumer.is_starved:
            with self._lock:
                part = self._take()
            if part:
                self._warn("the consumer is starved")
                self._run(part)
        elif self.timeout is not None:
            self._start_timer(self.timeout)

    def handle_message(self, message: M) -> Any:
        """Makes of a message what :meth:`handle_batch` takes; by default the message itself."""
        return message

    def handle_batch(self, batch: list[Any]) -> object:
        """Handles a batch: what :meth:`handle_message` has made of each message. They are finished when it returns.

        By default it does nothing, where :meth:`handle_message` is one's own.
        """
        if getattr(self.handle_message, "__func__", None) is BatchHandler.handle_message:
            raise NotImplementedError("a BatchHandler needs handle_batch or handle_message")
        return None

    def handle_message_error(self, error: Exception, message: M) -> object:
        """Told of an exception of :meth:`handle_message`, after which the message is requeued. By default it is
        logged."""
        _logger.error("message %r can't be handled, and is requeued", message.id, exc_info=error)
        return None

    def handle_batch_error(self, error: Exception, messages: list[M], batch: list[Any]) -> object:
        """Told of an exception of :meth:`handle_batch`, after which its messages are requeued. By default it is
        logged."""
        _logger.error("a batch of %d messages can't be handled, and is requeued", len(messages), exc_info=error)
        return None

    def _take(self) -> list[M]:
        """The batch as it is, with the lock."""
        messages, self._messages = self._messages, []
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return messages

    def _run(self, messages: list[M]) -> None:
        try:
            self._spawn(self._handle, messages)
        except Exception as error:
            _answer(messages, error)
            raise

    def _warn(self, why: str) -> None:
        text = f"{why}: a batch has less than {self.batch_size} messages; is max_in_flight large enough?"
        try:
            warnings.warn(text, RuntimeWarning, stacklevel=3)
        except RuntimeWarning:
            # It is an exception here, and would have messages requeued that are being handled.
            _logger.warning(text)

    def _start_timer(self, timeout: float) -> None:
        due = time.monotonic() + timeout
        with self._lock:
            if not self._messages:
                return
            if self._timer is not None:
                self._timer.due = due
                return
            timer = self._timer = _Timer(due)
        try:
            _modes.current().spawn(self._wait, timer, name="gnsq-batch-timer")
        except Exception as error:
            with self._lock:
                messages = self._take()
            _answer(messages, error)
            raise

    def _wait(self, timer: _Timer) -> None:
        if timer.passes():
            with self._lock:
                part = self._take() if self._timer is timer else []
            if part:
                self._warn(f"there was no message for {self.timeout} s")
                self._run(part)

    def _handle(self, messages: list[M]) -> None:
        try:
            kept, error = self._try(messages)
        except BaseException as killed:
            _answer(messages, killed)
            raise
        _answer(kept, error)

    def _try(self, messages: list[M]) -> tuple[list[M], Exception | None]:
        """Handles the messages, and requeues those that can't be. Returns the others, and why they can't be either."""
        kept: list[M] = []
        batch: list[Any] = []
        for message in messages:
            try:
                made = self.handle_message(message)
            except Exception as error:
                _told(self.handle_message_error, error, message)
                _answer([message], error)
            else:
                kept.append(message)
                batch.append(made)
        if batch:
            try:
                self.handle_batch(batch)
            except Exception as error:
                _told(self.handle_batch_error, error, kept, batch)
                return kept, error
        return kept, None


class _Timer:
    """Waits until it is due, which may be put off, or until it is cancelled."""

    def __init__(self, due: float) -> None:
        self.due = due
        self._cancelled = _core.Operation.manual()

    def cancel(self) -> None:
        self._cancelled.set()

    def passes(self) -> bool:
        """Whether it has become due."""
        while True:
            left = self.due - time.monotonic()
            if left <= 0:
                return not self._cancelled.done()
            if _modes.current().wait(self._cancelled, left):
                return False


def _spawn(function: Callable[..., object], *args: object) -> object:
    return _modes.current().spawn(function, *args, name="gnsq-batch")


def _told(handler: Callable[..., object], *args: object) -> None:
    try:
        handler(*args)
    except Exception:
        _logger.exception("a handler of errors has failed")


def _answer(messages: list[M], error: BaseException | None) -> None:
    """Finishes the messages, or requeues them for an error; each that can't be is nsqd's to hand out again."""
    for message in messages:
        try:
            if message.has_responded():
                continue
            if error is None:
                message.finish()
            elif isinstance(error, NSQRequeueMessage) and error.backoff is not None:
                message.requeue(backoff=error.backoff)
            else:
                message.requeue()
        except NSQException as failure:
            _logger.warning("message %r can't be answered, and will come again: %s", message.id, failure)
        except Exception:
            _logger.exception("a receiver of a signal of message %r has failed", message.id)
