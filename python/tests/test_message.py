"""Messages that were made by hand, and what all messages do."""

from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any

import pytest

from gnsq.errors import NSQException
from gnsq.message import Message


def made(body: bytes = b"body") -> Message:
    return Message(1_700_000_000_000_000_000, 3, b"0123456789abcdef", body)


def test_it_has_what_it_was_made_of() -> None:
    message = made(b"\xff\x00")
    assert message.timestamp == 1_700_000_000_000_000_000
    assert message.attempts == 3
    assert message.id == b"0123456789abcdef"
    assert message.body == b"\xff\x00"


def test_its_parts_may_be_given_by_name() -> None:
    message = Message(timestamp=1, attempts=2, id=b"id", body=b"b")
    assert (message.timestamp, message.attempts, message.id, message.body) == (1, 2, b"id", b"b")


def test_finishing_tells_and_is_an_answer() -> None:
    message = made()
    told = []
    message.on_finish.connect(told.append, weak=False)
    assert not message.has_responded()
    message.finish()
    assert message.has_responded()
    assert told == [message]


def test_requeueing_tells_how_and_is_an_answer() -> None:
    message = made()
    told: list[Any] = []
    message.on_requeue.connect(lambda sender, **given: told.append((sender, given)), weak=False)
    message.requeue(1500, backoff=False)
    assert message.has_responded()
    assert told == [(message, {"timeout": 1500, "backoff": False})]


def test_a_requeue_is_at_once_and_backs_off_by_default() -> None:
    message = made()
    told: list[Any] = []
    message.on_requeue.connect(lambda sender, **given: told.append(given), weak=False)
    message.requeue()
    assert told == [{"timeout": 0, "backoff": True}]


def test_touching_tells_and_is_no_answer() -> None:
    message = made()
    told: list[Any] = []
    message.on_touch.connect(told.append, weak=False)
    message.touch()
    message.touch()
    assert not message.has_responded()
    assert told == [message, message]


@pytest.mark.parametrize("first", ["finish", "requeue"])
@pytest.mark.parametrize("second", ["finish", "requeue", "touch"])
def test_a_second_answer_is_refused(first: str, second: str) -> None:
    message = made()
    getattr(message, first)()
    with pytest.raises(NSQException, match="before"):
        getattr(message, second)()


def test_it_is_async_when_told_so() -> None:
    message = made()
    assert not message.is_async()
    message.enable_async()
    assert message.is_async()


def test_a_receiver_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    message = made()
    told: list[Any] = []

    def failing(sender: Any) -> None:
        raise ValueError("on purpose")

    message.on_finish.connect(failing)
    message.on_finish.connect(told.append, weak=False)
    message.finish()
    assert told == [message]
    assert "on purpose" in caplog.text


def test_a_subclass_may_have_more() -> None:
    class Order(Message):
        def __init__(self, *args: Any, customer: str) -> None:
            super().__init__(*args)
            self.customer = customer

    order = Order(1, 1, b"0" * 16, b"tea", customer="Ann")
    assert (order.body, order.customer) == (b"tea", "Ann")
    order.finish()
    with pytest.raises(NSQException):
        order.finish()


def test_programs_may_keep_what_they_like_in_it() -> None:
    message: Any = made()
    message.note = "mine"
    assert message.note == "mine"


def test_it_refuses_to_be_pickled() -> None:
    with pytest.raises(TypeError, match="pickle its body"):
        pickle.dumps(made())


def test_its_repr_shows_its_state() -> None:
    message = made()
    assert "0123456789abcdef" in repr(message)
    assert "unanswered" in repr(message)
    message.finish()
    assert "finished" in repr(message)


def test_one_that_is_in_a_circle_is_collected() -> None:
    message = made()
    message.on_finish.connect(lambda sender, kept=message: None, weak=False)
    gone = weakref.ref(message)
    del message
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("arguments", [(), (1, 2, b"id"), (1, 2, b"id", b"body", 5)])
def test_it_is_made_of_four_things(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        Message(*arguments)


def test_a_negative_delay_is_refused_and_no_answer() -> None:
    message = made()
    with pytest.raises(ValueError, match="time_ms"):
        message.requeue(-1)
    assert not message.has_responded()
