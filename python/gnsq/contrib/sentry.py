"""Tells Sentry of what handlers of messages raise."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from ._types import Message, Subscribed

__all__ = ["SentryExceptionHandler"]


class SentryExceptionHandler:
    """Sends exceptions to Sentry, each with its message. Connect it to ``on_exception``.

    ::

        import sentry_sdk

        sentry_sdk.init("https://...")
        consumer.on_exception.connect(SentryExceptionHandler(sentry_sdk), weak=False)

    The client is ``sentry_sdk`` itself, or one of its scopes or clients, or a client of the old ``raven``.
    """

    def __init__(self, client: Any) -> None:
        """:raises TypeError: for what can't be told of exceptions"""
        self.client = client
        if callable(getattr(client, "captureException", None)):
            self._capture = self._capture_with_raven
        elif callable(getattr(client, "capture_exception", None)):
            self._capture = self._capture_with_sdk
        elif callable(getattr(client, "capture_event", None)):
            self._capture = self._capture_with_client
        else:
            raise TypeError(f"{type(client).__name__} is no client of Sentry: it has no method to capture exceptions")

    def __call__(self, consumer: Subscribed, message: Message, error: BaseException) -> None:
        """Sends the exception. The receiver of ``on_exception``."""
        self._capture(error, self.describe(consumer, message))

    def describe(self, consumer: Subscribed, message: Message) -> dict[str, Any]:
        """What is sent along. Override it to send more, or no bodies."""
        return {
            "topic": consumer.topic,
            "channel": consumer.channel,
            "message_id": message.id.decode(errors="backslashreplace"),
            "message_attempts": message.attempts,
            "message_timestamp": message.timestamp,
            "message_body": message.body.decode(errors="backslashreplace"),
        }

    def _capture_with_raven(self, error: BaseException, extra: dict[str, Any]) -> None:
        # It sends the exception that is being handled.
        if sys.exc_info()[1] is error:
            self.client.captureException(extra=extra)
            return
        traceback = error.__traceback__
        try:
            raise error.with_traceback(traceback)
        except BaseException:
            self.client.captureException(extra=extra)
        finally:
            error.__traceback__ = traceback

    def _capture_with_sdk(self, error: BaseException, extra: dict[str, Any]) -> None:
        self.client.capture_exception(error, extras=extra)

    def _capture_with_client(self, error: BaseException, extra: dict[str, Any]) -> None:
        # Who has a client has this, too.
        utils = import_module("sentry_sdk.utils")
        event, hint = utils.event_from_exception(error, client_options=self.client.options)
        event["extra"] = extra
        self.client.capture_event(event, hint=hint)
