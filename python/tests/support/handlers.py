"""Handlers that remember what they were given."""

from __future__ import annotations

from typing import Any, Callable


class Recorder:
    """A handler: keeps the messages, and does what it was told to do with each."""

    def __init__(self, then: Callable[[Any], object] | None = None) -> None:
        self.messages: list[Any] = []
        self._then = then

    def __call__(self, _consumer: Any, message: Any) -> None:
        """Is given a message."""
        self.messages.append(message)
        if self._then is not None:
            self._then(message)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of the messages, in their order."""
        return [message.body for message in self.messages]


class Heard:
    """A receiver of any signal: keeps the sender and the arguments of each."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, dict[str, Any]]] = []

    def __call__(self, sender: Any, **arguments: Any) -> None:
        """Is called."""
        self.calls.append((sender, arguments))

    def __len__(self) -> int:
        return len(self.calls)

    def all(self, name: str) -> list[Any]:
        """The argument of that name, of each call."""
        return [arguments[name] for _, arguments in self.calls]
