"""What is measured against something that changes: points, and the servers that they come from."""

from __future__ import annotations

import itertools
import resource
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType

from . import places
from .server import TOPIC, Lost, create, publish


@dataclass(frozen=True)
class Point:
    """One run."""

    #: `growth` or `latency`.
    suite: str
    #: What changes along the x axis, as the suite names it.
    curve: str
    #: Which line it is on.
    series: str
    x: float
    figures: dict[str, float] = field(default_factory=dict)


def medians(points: Sequence[Point], curve: str, series: str, figure: str) -> list[tuple[float, float]]:
    """A line: for each x the median of the runs."""
    values: dict[float, list[float]] = {}
    for point in points:
        if (point.curve, point.series) == (curve, series) and figure in point.figures:
            values.setdefault(point.x, []).append(point.figures[figure])
    return [(x, median(some)) for x, some in sorted(values.items())]


class EmbeddedServers(AbstractContextManager["EmbeddedServers"]):
    """So many embedded nsqds in one process."""

    def __init__(self, count: int) -> None:
        self._running = subprocess.Popen(
            [str(places.rust_program()), "serve", str(count)], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        lines = self._running.stdout or ()
        told = [line.split() for _, line in zip(range(2 * count), lines)]
        self.tcp, self._http = ([words[-1] for words in told if words[0] == kind] for kind in ("TCP:", "HTTP:"))
        if not len(self.tcp) == len(self._http) == count:
            self._end()
            raise Lost("the embedded nsqds don't start")

    def fill(self, body: bytes, count: int) -> None:
        """Creates the channels, and publishes to each its part of the messages."""
        for number, (address, http) in enumerate(zip(self.tcp, self._http)):
            create(http, TOPIC)
            share = count // len(self.tcp) + (number < count % len(self.tcp))
            publish(address, [TOPIC], itertools.repeat(body), share)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._running.kill()
        self._running.communicate()


def raise_limits() -> None:
    """Hundreds of nsqds have more sockets than a process may have by default."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
