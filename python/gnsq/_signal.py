"""Signals of `blinker`, with a short way for those that have one receiver."""

from __future__ import annotations

import weakref
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, Callable

import blinker
from blinker.base import ANY, ANY_ID

# What is no weak reference of Python's own: methods, until blinker 1.8.
_OldWeakMethod: Any
try:
    _OldWeakMethod = import_module("blinker._saferef").BoundMethodWeakref
except ImportError:
    _OldWeakMethod = ()


class Signal(blinker.Signal):
    """A blinker signal that costs little more to send than a call of its receiver.

    `version` changes with each receiver that is connected or goes away: whoever sends often keeps what :meth:`sole` has
    given until then.
    """

    def __init__(self, doc: str | None = None, *, on_connect: Callable[[], object] | None = None) -> None:
        """`on_connect` is called after each receiver that is connected."""
        self.version = 0
        # The receiver, or a reference to it, if calling it is all that sending means; and if it may be awaited, too.
        self._entry: Any = None
        self._awaitable_entry: Any = None
        self._on_connect = on_connect
        self._is_muted = False
        super().__init__(doc)

    @property
    def is_muted(self) -> bool:
        """Whether receivers are not called."""
        return self._is_muted

    @is_muted.setter
    def is_muted(self, muted: bool) -> None:
        self._is_muted = muted
        self._changed()

    def sole(self, coroutines: bool = False) -> Callable[..., Any] | None:
        """The receiver, if calling it is all that sending means: there is one, it listens to any sender, and it is no
        coroutine function, unless `coroutines` are wanted, too."""
        receiver: Callable[..., Any] | None = _alive(self._awaitable_entry if coroutines else self._entry)
        return receiver

    def connect(self, receiver: Any, sender: Any = ANY, weak: bool = True) -> Any:
        """As of `blinker`: weakly, unless `weak` is False."""
        connected = super().connect(receiver, sender, weak)
        self._changed()
        if self._on_connect is not None:
            self._on_connect()
        return connected

    def send(self, *sender: Any, **kwargs: Any) -> list[tuple[Callable[..., Any], Any]]:
        """As of `blinker`: calls the receivers; returns each with what it returned."""
        if not self.receivers:
            return []
        entry = self._entry
        if entry is None or len(sender) != 1:
            return super().send(*sender, **kwargs)
        receiver = _alive(entry)
        if receiver is None:
            return []
        return [(receiver, receiver(sender[0], **kwargs))]

    def _disconnect(self, receiver_id: Any, sender_id: Any) -> None:
        super()._disconnect(receiver_id, sender_id)
        self._changed()

    def _clear_state(self) -> None:
        super()._clear_state()
        self._changed()

    def _changed(self) -> None:
        entry = self._awaitable_entry = self._find()
        self._entry = None if iscoroutinefunction(_alive(entry)) else entry
        self.version += 1

    def _find(self) -> Any:
        receivers = getattr(self, "receivers", None)
        if self._is_muted or not receivers or len(receivers) != 1:
            return None
        ((receiver_id, entry),) = receivers.items()
        if isinstance(entry, _OldWeakMethod):
            receiver = entry()
            entry = None if receiver is None else weakref.WeakMethod(receiver)
        return entry if receiver_id in self._by_sender[ANY_ID] else None


def _alive(entry: Any) -> Any:
    """The receiver, if it is still there."""
    return entry() if isinstance(entry, weakref.ref) else entry
