"""What a mode can do."""

from __future__ import annotations

from typing import Any, Callable, Protocol

from .. import _core


class Waitable(Protocol):
    """Something native that becomes ready: an operation, a line of messages, a stream of events."""

    def wait(self, timeout: float | None = None) -> bool: ...

    def arm(self, mailbox: _core.Mailbox, target: Any) -> None: ...


class Worker(Protocol):
    """A thread or greenlet that runs a function."""

    def join(self, timeout: float | None = None) -> bool:
        """Waits until the function has returned; tells whether it has."""


class Mode(Protocol):
    """A way to wait and to run things side by side."""

    def wait(self, waitable: Waitable, timeout: float | None = None) -> bool:
        """Blocks the caller, and nobody else, until it is ready or `timeout` seconds have passed; tells whether it is
        ready."""

    def when_ready(self, waitable: Waitable, call: Callable[[], object]) -> None:
        """Calls `call` once, soon after it is ready, where it must not block."""

    def result(self, publish: _core.Publish) -> Any:
        """The outcome to come of a publish, as users have it in this mode."""

    def spawn(self, function: Callable[..., object], *args: object, name: str) -> Worker:
        """Runs the function beside the caller. It ends by itself; the exit of the interpreter doesn't wait for it."""
