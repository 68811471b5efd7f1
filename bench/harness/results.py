"""bench/results.json: every run's figures, and on what they were measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from . import latency, places
from .curves import Point
from .measure import Run


@dataclass
class Results:
    """What was measured, suite by suite."""

    #: Of each suite: the machine, versions, date, load.
    surroundings: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    #: Runs of the suites that measure against something that changes.
    points: list[Point] = field(default_factory=list)
    #: Runs that are not counted, and why.
    failures: dict[str, list[str]] = field(default_factory=dict)

    def of(self, work: str, client: str) -> list[Run]:
        """The runs of a client with a work."""
        return [run for run in self.runs if run.work == work and run.client == client]

    def replace(self, suite: str, surroundings: dict[str, Any], runs: Iterable[Run], failures: Sequence[str]) -> None:
        """Forgets what this suite had before."""
        self.surroundings[suite] = surroundings
        self.runs = [run for run in self.runs if run.suite != suite] + list(runs)
        self.failures[suite] = list(failures)

    def replace_points(
        self, suite: str, surroundings: dict[str, Any], points: Iterable[Point], failures: Sequence[str]
    ) -> None:
        """Forgets what this suite had before."""
        self.surroundings[suite] = surroundings
        self.points = [point for point in self.points if point.suite != suite] + list(points)
        self.failures[suite] = list(failures)

    def save(self) -> None:
        """Writes them: a run a line, so that differences can be read."""
        lists: dict[str, Sequence[Point | Run]] = {"points": self.points, "runs": self.runs}
        about = {"surroundings": self.surroundings, "failures": self.failures}
        text = json.dumps(about, indent=1, sort_keys=True).removesuffix("\n}")
        for name, entries in lists.items():
            lines = ",\n".join(f"  {json.dumps(asdict(entry))}" for entry in entries)
            text += f',\n "{name}": [\n{lines}\n ]'
        text += "\n}\n"
        temporary = places.RESULTS.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(places.RESULTS)


def load() -> Results:
    """What was measured before."""
    if not places.RESULTS.exists():
        return Results()
    read = json.loads(places.RESULTS.read_text())
    runs = [Run(**run | {"latencies": _histogram(run["latencies"])}) for run in read["runs"]]
    points = [Point(**point) for point in read.get("points", [])]
    return Results(read["surroundings"], runs, points, read["failures"])


def _histogram(read: dict[str, int]) -> latency.Histogram:
    return {int(bucket): count for bucket, count in read.items()}
