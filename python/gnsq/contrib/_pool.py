"""Runs functions beside each other, a bounded number of them at a time."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable

from .. import _modes


class Pool:
    """Up to ``size`` threads or greenlets, as the mode is. None of them is there without work."""

    def __init__(self, size: int, name: str) -> None:
        """:raises ValueError: for a size that is less than 1"""
        if size < 1:
            raise ValueError(f"a pool has a size of at least 1, and this is {size}")
        self._size = size
        self._name = name
        self._lock = threading.Lock()
        # Not bounded here: whoever spawns has a bound of its own, or none.
        self._waiting: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._workers = 0

    def __repr__(self) -> str:
        return f"<Pool size={self._size} workers={self._workers} waiting={len(self._waiting)}>"

    def spawn(self, function: Callable[..., object], *args: object) -> None:
        """Has the function called, in order of arrival, without waiting for that."""
        with self._lock:
            self._waiting.append((function, args))
        self._add_worker()

    def _add_worker(self) -> None:
        with self._lock:
            if not self._waiting or self._workers == self._size:
                return
            self._workers += 1
        try:
            _modes.current().spawn(self._work, name=self._name)
        except BaseException:
            with self._lock:
                self._workers -= 1
            raise

    def _work(self) -> None:
        while True:
            call = self._next()
            if call is None:
                return
            function, args = call
            try:
                function(*args)
            except BaseException:
                # It may have been killed: what waits is for another one.
                with self._lock:
                    self._workers -= 1
                self._add_worker()
                raise

    def _next(self) -> Any:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._workers -= 1
            return None
