"""`gnsq.contrib.sentry`: exceptions reach old and new clients of Sentry, with their message."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from support.fakes import FakeConsumer, FakeMessage

from gnsq.contrib.sentry import SentryExceptionHandler


class Raven:
    """As the old client: it sends what is being handled."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Any]] = []

    def captureException(self, **kwargs: Any) -> None:
        self.sent.append((sys.exc_info()[1], kwargs))


def failed() -> ValueError:
    try:
        raise ValueError("no such thing")
    except ValueError as error:
        return error


def expected(message: FakeMessage) -> dict[str, Any]:
    return {
        "topic": "topic",
        "channel": "channel",
        "message_id": message.id.decode(),
        "message_attempts": 6,
        "message_timestamp": message.timestamp,
        "message_body": "body\\xff",
    }


@pytest.fixture
def message() -> FakeMessage:
    return FakeMessage(b"body\xff")


def test_an_old_client_is_told_while_the_exception_is_handled(message: FakeMessage) -> None:
    raven = Raven()
    handler = SentryExceptionHandler(raven)
    try:
        raise ValueError("no such thing")
    except ValueError as error:
        handler(FakeConsumer(), message=message, error=error)
        assert raven.sent == [(error, {"extra": expected(message)})]


def test_an_old_client_is_told_after_the_exception_was_handled(message: FakeMessage) -> None:
    raven = Raven()
    error = failed()
    traceback = error.__traceback__
    SentryExceptionHandler(raven)(FakeConsumer(), message=message, error=error)
    assert raven.sent == [(error, {"extra": expected(message)})]
    assert error.__traceback__ is traceback


def test_the_new_sdk_is_told(message: FakeMessage) -> None:
    sent: list[Any] = []
    sdk = SimpleNamespace(capture_exception=lambda error, **kwargs: sent.append((error, kwargs)))
    error = failed()
    SentryExceptionHandler(sdk)(FakeConsumer(), message=message, error=error)
    assert sent == [(error, {"extras": expected(message)})]


def test_what_is_sent_along_may_be_less(message: FakeMessage) -> None:
    class Handler(SentryExceptionHandler):
        def describe(self, consumer: Any, message: Any) -> dict[str, Any]:
            return {"id": message.id}

    raven = Raven()
    Handler(raven)(FakeConsumer(), message=message, error=failed())
    assert raven.sent[0][1] == {"extra": {"id": message.id}}


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(TypeError, match="no client of Sentry"):
        SentryExceptionHandler(object())
