"""What happens to clients when the process forks, and when the interpreter exits."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import Callable, Protocol

from . import _core


class Client(Protocol):
    """Something that runs, and should be closed before the interpreter is gone."""

    def _begin_exit(self) -> None:
        """Closes, without waiting for it. Must not block."""

    def _exited(self, timeout: float) -> object:
        """Waits for the end of what was begun, in this thread and in no hub, for up to `timeout` seconds."""


_generation = 0
_exiting = False
_forked: list[Callable[[], None]] = []
_running: weakref.WeakSet[Client] = weakref.WeakSet()


def generation() -> int:
    """How many forks lie between the first process and this one."""
    return _generation


def exiting() -> bool:
    """Whether the interpreter is on its way out."""
    return _exiting


def after_fork(call: Callable[[], None]) -> None:
    """Has `call` called in each child of a fork."""
    _forked.append(call)


def started(client: Client) -> None:
    """Has the client closed when the interpreter exits."""
    _running.add(client)


def ended(client: Client) -> None:
    """The client has been closed."""
    _running.discard(client)


def _after_fork_in_child() -> None:
    global _generation  # noqa: PLW0603 - the process has one
    _generation += 1
    _core.after_fork_in_child()
    _running.clear()
    for call in _forked:
        call()


def _exit() -> None:
    """Gives nsqd back what is here. Handlers that still run are not waited for: nobody is left to tell them."""
    global _exiting  # noqa: PLW0603 - the process has one
    _exiting = True
    clients = list(_running)
    for client in clients:
        client._begin_exit()
    deadline = time.monotonic() + _TIME_TO_EXIT
    for client in clients:
        client._exited(max(0.0, deadline - time.monotonic()))
    _core.release_threads(_TIME_TO_RELEASE)


#: For how many seconds the exit waits for nsqd to have all that was answered or given back.
_TIME_TO_EXIT = 1.0

#: For how many seconds it waits for threads to return from waiting. They need the GIL, and nothing else.
_TIME_TO_RELEASE = 2.0

os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_exit)
