"""What is measured against something that changes: points, and the programs that they come from."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Any

from . import places
from .server import Lost

#: How long one run may take, beside what it is to last.
_PATIENCE = 60.0


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


def start(work: str, addresses: str, **options: str | float) -> subprocess.Popen[str]:
    """Starts a program, without its name's underscores."""
    told = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    return subprocess.Popen(
        [str(places.curves_program()), work, "--nsqd", addresses, *told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def first_line(running: subprocess.Popen[str]) -> str:
    """What a program says when it is ready, or nothing when it ends before."""
    return running.stdout.readline().strip() if running.stdout is not None else ""


def finish(running: subprocess.Popen[str], lasts: float = 0.0, told: str | None = None) -> dict[str, Any]:
    """Tells a program something, waits for its end, and gives what it said last."""
    try:
        output, _ = running.communicate(told, timeout=lasts + _PATIENCE)
    except subprocess.TimeoutExpired:
        raise Lost(f"{running.args!r} is not done") from None
    finally:
        end(running)
    if running.returncode != 0:
        raise Lost(f"{running.args!r} ended with {running.returncode}")
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    return said


def end(running: subprocess.Popen[str]) -> None:
    """Ends a program that may still run."""
    if running.poll() is None:
        running.kill()
        running.wait()


class EmbeddedServers(AbstractContextManager["EmbeddedServers"]):
    """So many embedded nsqds in one process."""

    def __init__(self, count: int) -> None:
        self._running = start("serve", "127.0.0.1:0", servers=count)
        self.tcp = first_line(self._running)
        if self.tcp.count(":") != count:
            end(self._running)
            raise Lost("the embedded nsqds don't start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        end(self._running)


def raise_limits() -> None:
    """Hundreds of nsqds have more sockets than a process may have by default."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def show(text: str) -> None:
    """Says what is measured now."""
    print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)
