"""The pictures of the documentation, from what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from . import clients, latency, places, works
from .clients import Client
from .measure import Run
from .results import Results
from .svg import Dot, Row, plot
from .works import Work


def write(results: Results) -> None:
    """All of which something was measured, into docs/plots."""
    places.PLOTS.mkdir(exist_ok=True)
    rated = (*works.PUBLISH, *works.CONSUME)
    cpu = "microseconds of the client's CPU a message (less is better)"
    rate = "messages a second (more is better)"
    _save("rates", "Messages a second", rate, clients.ALL, _rows(results, rated, clients.ALL, _rate))
    _save("cpu", "What a message costs the client", cpu, clients.ALL, _rows(results, rated, clients.ALL, _cpu))
    _save("latency", "From publish to handler", _LATENCY, clients.ALL, _latencies(results, works.ROUND_TRIPS))
    python = [work for work in works.PYTHON if work.program != "idle"]
    title = "Clients in Python: messages a second"
    _save("python", title, rate, clients.IN_PYTHON, _rows(results, python, clients.IN_PYTHON, _rate))


_LATENCY = "microseconds: from p50 (the dot) to p99.9 (the end of the line)"


def _save(name: str, title: str, axis: str, who: Sequence[Client], rows: Sequence[Row]) -> None:
    if any(row.dots for row in rows):
        (places.PLOTS / f"{name}.svg").write_text(plot(title, axis, [client.title for client in who], rows))


def _rows(results: Results, some: Sequence[Work], who: Sequence[Client], figure: Callable[[Run], float]) -> list[Row]:
    rows = []
    for work in some:
        dots = []
        for number, client in enumerate(who):
            figures = [figure(run) for run in results.of(work.name, client.key) if figure(run) > 0]
            if figures:
                dots.append(Dot(number, median(figures), min(figures), max(figures)))
        rows.append(Row(work.title, dots))
    return rows


def _latencies(results: Results, some: Sequence[Work]) -> list[Row]:
    rows = []
    for work in some:
        dots = []
        for number, client in enumerate(clients.ALL):
            counts = latency.together(run.latencies for run in results.of(work.name, client.key))
            if counts:
                half = latency.percentile(counts, 50)
                dots.append(Dot(number, half, half, latency.percentile(counts, 99.9)))
        rows.append(Row(work.title, dots))
    return rows


def _rate(run: Run) -> float:
    return run.rate


def _cpu(run: Run) -> float:
    return run.cpu_micros
