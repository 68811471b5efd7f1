"""How messages a second and the client's CPU change with connections, outstanding publishes, body size, topics."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from . import bodies, chart, curves, places, program, server
from .clients import GNSQ
from .curves import Point
from .progress import show
from .server import Lost
from .surroundings import Surroundings
from .works import BODY

SUITE = "growth"
_MOST_BYTES = 300 * 1024 * 1024
#: A line's name, what is done, and with which options.
_Line = tuple[str, str, dict[str, str]]
_PUBLISH: _Line = ("publish", "publish", {"batching": "no"})
_BATCHED: _Line = ("publish, natural batching", "publish", {"batching": "yes"})
_CONSUME: _Line = ("consume", "consume", {})


@dataclass(frozen=True)
class Curve:
    """What changes, and what is done with each value of it."""

    name: str
    title: str
    #: The option that it is to the program.
    option: str
    values: tuple[int, ...]
    lines: tuple[_Line, ...]


CURVES = (
    Curve("connections", "connected nsqds", "", (1, 3, 10, 30, 100, 300, 500), (_PUBLISH, _CONSUME)),
    Curve(
        "outstanding",
        "outstanding publishes",
        "outstanding",
        (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000),
        (_PUBLISH, _BATCHED),
    ),
    Curve(
        "body",
        "bytes of a body",
        "body",
        (16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576),
        (_PUBLISH, _CONSUME),
    ),
    Curve("topics", "topics", "topics", (1, 3, 10, 30, 100, 300, 1000), (_PUBLISH, _BATCHED, _CONSUME)),
)


def run(rounds: int, seconds: float, surroundings: Surroundings) -> tuple[list[Point], list[str]]:
    """Measures all of it."""
    curves.raise_limits()
    points: list[Point] = []
    failures: list[str] = []
    for turn in range(rounds):
        for curve in CURVES:
            surroundings.sample()
            for value in curve.values:
                for line in curve.lines:
                    show(f"{turn + 1}/{rounds} {curve.name} {value}: {line[0]}")
                    try:
                        points.append(_once(curve, value, line, seconds))
                    except (Lost, OSError) as error:
                        failures.append(f"{curve.name} {value}, {line[0]}, round {turn + 1}: {error}")
    show()
    return points, failures


def plots(points: Sequence[Point]) -> None:
    """One a curve, into docs/plots."""
    for curve in CURVES:
        panels = [
            chart.Panel(
                title,
                curve.title,
                [
                    chart.Line(name, curves.medians(points, curve.name, name, figure), number)
                    for number, (name, _, _) in enumerate(curve.lines)
                ],
            )
            for title, figure in (("messages a second", "rate"), ("client CPU a message, microseconds", "cpu_us"))
        ]
        if any(line.points for panel in panels for line in panel.lines):
            chart.write(places.PLOTS / f"growth-{curve.name}.svg", panels)


def _once(curve: Curve, value: int, line: _Line, seconds: float) -> Point:
    name, work, more = line
    options: dict[str, str | float] = {"body": BODY, **more}
    if curve.option:
        options[curve.option] = value
    body = value if curve.option == "body" else BODY
    count = _messages(curve, value, line, seconds, body)
    topics = value if curve.option == "topics" else 1
    with ExitStack() as stack:
        if curve.name == "connections":
            # Its counters are not asked: the program has counted what it took, and awaited what it published.
            embedded = stack.enter_context(curves.EmbeddedServers(value))
            real, addresses = None, embedded.tcp
            if work == "consume":
                embedded.fill(b"x" * body, count)
        else:
            real = stack.enter_context(server.nsqd(places.nsqd(), topics=topics))
            addresses = [real.tcp]
            if work == "consume":
                real.fill(bodies.plain(body), count)
        with program.started(GNSQ.command, work, count, addresses, options) as process:
            said = program.finish(process, program.LIMIT + seconds)
        if real is not None and work == "consume":
            real.check_consumed(count)
        elif real is not None:
            real.check_published(count, count * body)
    figures = {
        "rate": count / said["seconds"],
        "cpu_us": said["cpu"] * 1e6 / count,
        "peak_mib": said["peak_kib"] / 1024,
    }
    return Point(SUITE, curve.name, name, value, figures)


def _messages(curve: Curve, value: int, line: _Line, seconds: float, body: int) -> int:
    """About so many seconds' worth, by what was seen; and one for each connection, at least."""
    outstanding = value if curve.name == "outstanding" else 100
    rate = 400_000.0 if line[1] == "consume" else min(10_000 * outstanding, 300_000 if line is _BATCHED else 90_000)
    rate = min(rate, 400e6 / body)
    count = min(int(rate * seconds), _MOST_BYTES // body)
    return max(count, 100, 20 * value if curve.name in {"connections", "topics"} else 0)
