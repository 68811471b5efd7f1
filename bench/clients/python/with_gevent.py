"""gnsq under gevent, not monkey-patched."""

from __future__ import annotations

from typing import Callable

import gevent
import gevent.event

from gnsq_works import main


class Greenlets:
    """gevent's greenlets."""

    event = gevent.event.Event
    sleep = staticmethod(gevent.sleep)

    @staticmethod
    def run_all(function: Callable[[], object], times: int) -> None:
        """Runs it so many times at once, until all have returned."""
        gevent.joinall([gevent.spawn(function) for _ in range(times)], raise_error=True)


if __name__ == "__main__":
    main(Greenlets())
