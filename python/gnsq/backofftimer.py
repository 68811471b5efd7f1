"""How long to wait after failures: longer with each, and by chance, so that not all come back at once."""

from __future__ import annotations

import random

__all__ = ["BackoffTimer"]


class BackoffTimer:
    """Counts failures, and makes intervals of them that grow exponentially.

    ::

        timer = BackoffTimer(max_interval=60)
        while not attempt():
            time.sleep(timer.failure().get_interval())
    """

    def __init__(self, ratio: float = 1, max_interval: float | None = None, min_interval: float | None = None) -> None:
        """Intervals are in the unit of ``ratio``, which is what the first failure takes at most. None: no bound."""
        #: How many failures there have been, less the successes since.
        self.c = 0
        self.ratio = ratio
        self.max_interval = max_interval
        self.min_interval = min_interval

    def __repr__(self) -> str:
        return (
            f"<BackoffTimer c={self.c} ratio={self.ratio} min_interval={self.min_interval} "
            f"max_interval={self.max_interval}>"
        )

    def is_reset(self) -> bool:
        """Whether there is no failure left."""
        return self.c == 0

    def reset(self) -> BackoffTimer:
        """Forgets all failures."""
        self.c = 0
        return self

    def success(self) -> BackoffTimer:
        """Takes one failure back."""
        self.c = max(self.c - 1, 0)
        return self

    def failure(self) -> BackoffTimer:
        """Counts one failure."""
        self.c += 1
        return self

    def get_interval(self) -> float:
        """How long to wait now: anything up to ``(2**c - 1) * ratio``, within the bounds. Another one at each call."""
        # No float is larger than 2**1023, and nobody lives to see either.
        interval = random.random() * (2.0 ** min(self.c, 1000) - 1) * self.ratio
        if self.max_interval is not None:
            interval = min(interval, self.max_interval)
        if self.min_interval is not None:
            interval = max(interval, self.min_interval)
        return interval
