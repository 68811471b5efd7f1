"""`gnsq._signal`: what programs do with signals of blinker they can do with ours, and one receiver is a short way."""

from __future__ import annotations

import gc
from typing import Any, Callable

import blinker
import pytest

from gnsq._signal import Signal


class Calls:
    """Receivers that keep what they were called with."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []

    def method(self, sender: Any, **kwargs: Any) -> str:
        self.made.append(("method", sender, kwargs))
        return "returned"

    def function(self, name: str = "function") -> Callable[..., str]:
        def receiver(sender: Any, **kwargs: Any) -> str:
            self.made.append((name, sender, kwargs))
            return name

        return receiver


@pytest.fixture
def signal() -> Signal:
    return Signal()


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_a_signal_is_one_of_blinker(signal: Signal) -> None:
    assert isinstance(signal, blinker.Signal)
    assert Signal("what it is for").__doc__ == "what it is for"


def test_without_receivers_nothing_is_called(signal: Signal) -> None:
    assert signal.send("sender", argument=1) == []
    assert signal.sole() is None


@pytest.mark.parametrize("weak", [True, False])
def test_a_receiver_is_called_with_sender_and_arguments(signal: Signal, calls: Calls, weak: bool) -> None:
    receiver = calls.function()
    assert signal.connect(receiver, weak=weak) is receiver
    assert signal.send("sender", argument=1) == [(receiver, "function")]
    assert calls.made == [("function", "sender", {"argument": 1})]
    assert signal.sole() is receiver


@pytest.mark.parametrize("weak", [True, False])
def test_a_method_may_receive(signal: Signal, calls: Calls, weak: bool) -> None:
    signal.connect(calls.method, weak=weak)
    assert signal.send("sender", argument=1) == [(calls.method, "returned")]
    assert calls.made == [("method", "sender", {"argument": 1})]
    assert signal.sole() == calls.method


@pytest.mark.parametrize("weak", [True, False])
def test_an_object_may_receive(signal: Signal, weak: bool) -> None:
    class Receiver:
        def __call__(self, sender: Any) -> str:
            return f"of {sender}"

    receiver = Receiver()
    signal.connect(receiver, weak=weak)
    assert signal.send("sender") == [(receiver, "of sender")]
    assert signal.sole() is receiver


def test_a_weak_receiver_goes_away_with_its_last_owner(signal: Signal, calls: Calls) -> None:
    receiver = calls.function()
    signal.connect(receiver)
    version = signal.version
    del receiver
    gc.collect()
    assert not signal.receivers
    assert signal.sole() is None
    assert signal.version > version
    assert signal.send("sender") == []


def test_a_weak_method_goes_away_with_its_object(signal: Signal) -> None:
    calls = Calls()
    made = calls.made
    signal.connect(calls.method)
    version = signal.version
    del calls
    gc.collect()
    assert signal.send("sender") == []
    assert (signal.sole(), made) == (None, [])
    assert signal.version > version


@pytest.mark.parametrize("make", [lambda calls: calls.function(), lambda calls: calls.method])
def test_a_strong_receiver_stays(signal: Signal, calls: Calls, make: Callable[[Calls], Any]) -> None:
    signal.connect(make(calls), weak=False)
    gc.collect()
    signal.send("sender")
    assert len(calls.made) == 1


def test_several_receivers_are_all_called(signal: Signal, calls: Calls) -> None:
    receivers = [calls.function("first"), calls.function("second")]
    for receiver in receivers:
        signal.connect(receiver)
    assert signal.sole() is None
    assert sorted(returned for _, returned in signal.send("sender", argument=1)) == ["first", "second"]
    signal.disconnect(receivers[0])
    assert signal.sole() is receivers[1]
    assert signal.send("sender") == [(receivers[1], "second")]


def test_a_receiver_that_is_connected_twice_is_called_once(signal: Signal, calls: Calls) -> None:
    receiver = calls.function()
    signal.connect(receiver)
    signal.connect(receiver)
    signal.send("sender")
    assert len(calls.made) == 1


def test_a_receiver_may_listen_to_one_sender_only(signal: Signal, calls: Calls) -> None:
    mine, other = Calls(), Calls()
    receiver = calls.function()
    signal.connect(receiver, sender=mine)
    assert signal.sole() is None
    assert signal.send(other) == []
    assert signal.send(mine) == [(receiver, "function")]
    assert calls.made == [("function", mine, {})]
    # And to all, beside.
    signal.connect(receiver)
    assert signal.sole() is receiver
    assert len(signal.send(other)) == len(signal.send(mine)) == 1


def test_a_sender_that_is_left_is_not_listened_to(signal: Signal, calls: Calls) -> None:
    sender = Calls()
    receiver = calls.function()
    signal.connect(receiver, sender=sender)
    signal.disconnect(receiver, sender=sender)
    assert signal.send(sender) == []


@pytest.mark.parametrize("receivers", [1, 2])
def test_an_exception_in_a_receiver_reaches_the_sender(signal: Signal, receivers: int) -> None:
    def fails(sender: Any) -> None:
        raise ValueError("the receiver's")

    signal.connect(fails)
    others = [lambda sender: None for _ in range(receivers - 1)]
    for other in others:
        signal.connect(other)
    with pytest.raises(ValueError, match="the receiver's"):
        signal.send("sender")


@pytest.mark.parametrize("receivers", [1, 2])
def test_a_receiver_may_disconnect_itself(signal: Signal, calls: Calls, receivers: int) -> None:
    def once(sender: Any) -> None:
        calls.made.append(("once",))
        signal.disconnect(once)

    signal.connect(once)
    others = [calls.function(str(number)) for number in range(receivers - 1)]
    for other in others:
        signal.connect(other)
    signal.send("sender")
    signal.send("sender")
    assert calls.made.count(("once",)) == 1
    assert len(calls.made) == 1 + 2 * len(others)


def test_a_receiver_may_connect_another_one(signal: Signal, calls: Calls) -> None:
    other = calls.function("other")

    def first(sender: Any) -> None:
        signal.connect(other)

    signal.connect(first)
    signal.send("sender")
    signal.send("sender")
    assert [name for name, *_ in calls.made].count("other") >= 1
    assert signal.sole() is None


def test_a_muted_signal_calls_nobody(signal: Signal, calls: Calls) -> None:
    receiver = calls.function()
    signal.connect(receiver)
    version = signal.version
    with signal.muted():
        assert signal.is_muted
        assert signal.version > version
        assert signal.sole() is None
        signal.send("sender")
        muted = signal.version
    assert not signal.is_muted
    assert signal.version > muted
    assert calls.made == []
    signal.send("sender")
    assert len(calls.made) == 1


def test_the_version_changes_with_the_receivers_and_not_with_sending(signal: Signal, calls: Calls) -> None:
    receivers = [calls.function(), calls.function()]
    versions = [signal.version]
    for receiver in receivers:
        signal.connect(receiver)
        versions.append(signal.version)
    signal.send("sender")
    assert signal.version == versions[-1]
    for receiver in receivers:
        signal.disconnect(receiver)
        versions.append(signal.version)
    assert versions == sorted(set(versions))


def test_a_receiver_is_told_of_when_it_is_connected(calls: Calls) -> None:
    told: list[Any] = []
    signal = Signal(on_connect=lambda: told.append(len(signal.receivers)))
    receivers = [calls.function(), calls.function()]
    for receiver in receivers:
        signal.connect(receiver)
    assert told == [1, 2]


def test_connect_via_decorates(signal: Signal, calls: Calls) -> None:
    sender = Calls()

    @signal.connect_via(sender)
    def receiver(sender: Any) -> str:
        return "via"

    assert signal.send(sender) == [(receiver, "via")]
    assert signal.send(calls) == []


def test_connect_decorates(signal: Signal) -> None:
    @signal.connect
    def receiver(sender: Any) -> str:
        return "decorated"

    assert signal.send("sender") == [(receiver, "decorated")]


def test_a_receiver_may_be_connected_for_a_while(signal: Signal, calls: Calls) -> None:
    receiver = calls.function()
    with signal.connected_to(receiver):
        signal.send("sender")
    signal.send("sender")
    assert len(calls.made) == 1


def test_a_coroutine_function_is_refused_as_blinker_does(signal: Signal) -> None:
    async def receiver(sender: Any) -> None: ...

    signal.connect(receiver)
    assert signal.sole() is None
    with pytest.raises(RuntimeError):
        signal.send("sender")


def test_blinker_tells_of_receivers(signal: Signal, calls: Calls) -> None:
    receiver = calls.function()
    assert not signal.has_receivers_for("sender")
    signal.connect(receiver)
    assert signal.has_receivers_for("sender")
    assert list(signal.receivers_for("sender")) == [receiver]


def test_sending_needs_no_sender_and_takes_one_at_most(signal: Signal, calls: Calls) -> None:
    receiver = calls.function()
    signal.connect(receiver)
    assert signal.send() == [(receiver, "function")]
    assert calls.made == [("function", None, {})]
    with pytest.raises(TypeError):
        signal.send("one", "two")
