"""gnsq in plain threads."""

from __future__ import annotations

import threading
import time
from typing import Callable

from gnsq_works import main


class Threads:
    """Plain threads."""

    event = threading.Event
    sleep = staticmethod(time.sleep)

    @staticmethod
    def run_all(function: Callable[[], object], times: int) -> None:
        """Runs it so many times at once, until all have returned."""
        threads = [threading.Thread(target=function) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(Threads())
