"""How long a message takes from being sent to its handler, from one message a second to as many as go through."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from . import chart, curves, places, program, server
from .clients import GNSQ, SOCKET_LOOP
from .curves import Point
from .progress import show
from .server import Lost
from .surroundings import Surroundings

SUITE = "latency"
#: Messages a second, and for how many seconds; 0: as many as nsqd takes.
RATES = {1: 30.0, 10: 15.0, 100: 10.0, 1000: 5.0, 10_000: 5.0, 30_000: 5.0, 100_000: 5.0, 0: 5.0}
#: At these rates nothing disturbs anything: all are measured at once.
_QUIET = 10
NSQDS = (1, 10)
#: Whether RDY follows the load.
MODES = {"on": "yes", "off": "no"}
_PERCENTILES = ("p50", "p99", "p99.9")


def run(rounds: int, seconds: float, surroundings: Surroundings) -> tuple[list[Point], list[str]]:
    """Measures all of it, each rate so many times as long as it is to last."""
    points: list[Point] = []
    failures: list[str] = []

    def one(job: tuple[int, str, int]) -> None:
        nsqds, mode, rate = job
        try:
            points.append(_once(nsqds, mode, rate, max(1.0, RATES[rate] * seconds)))
        except (Lost, OSError) as error:
            failures.append(f"{rate}/s, {nsqds} nsqd, {mode}: {error}")

    for turn in range(rounds):
        for rate in RATES:
            surroundings.sample()
            show(f"{turn + 1}/{rounds} latency: {rate or 'as many as go'} messages/s")
            jobs = [(nsqds, mode, rate) for nsqds in NSQDS for mode in MODES]
            with ThreadPoolExecutor(len(jobs) if 0 < rate <= _QUIET else 1) as pool:
                list(pool.map(one, jobs))
    show()
    return points, failures


def plots(points: Sequence[Point]) -> None:
    """One for each number of nsqds, into docs/plots."""
    for nsqds in NSQDS:
        curve = _curve(nsqds)
        latencies = [
            chart.Line(
                f"{percentile}, {mode}",
                curves.medians(points, curve, mode, percentile),
                number,
                dashed=mode == "off",
            )
            for number, percentile in enumerate(_PERCENTILES)
            for mode in MODES
        ]
        usage = [
            chart.Line(f"{who}, {mode}", curves.medians(points, curve, mode, figure), number, dashed=mode == "off")
            for number, (who, figure) in enumerate((("client", "client_percent"), ("nsqd", "nsqd_percent")))
            for mode in MODES
        ]
        if latencies[0].points:
            panels = [
                chart.Panel("milliseconds from publish to handler", "messages a second", latencies),
                chart.Panel("CPU, per cent of a core", "messages a second", usage),
            ]
            chart.write(places.PLOTS / f"latency-{curve}.svg", panels)


def _curve(nsqds: int) -> str:
    return f"{nsqds}-nsqd"


def _once(nsqds: int, mode: str, rate: int, lasts: float) -> Point:
    with ExitStack() as stack:
        servers = [stack.enter_context(server.nsqd(places.nsqd())) for _ in range(nsqds)]
        addresses = [one.tcp for one in servers]
        options = {"low-latency": MODES[mode]}
        consumer = stack.enter_context(program.started(GNSQ.command, "latency", 0, addresses, options))
        told = consumer.stdout.readline() if consumer.stdout and program.readable(consumer, program.LIMIT) else ""
        if told.strip() != "ready":
            raise Lost("the consumer does not connect")
        began, before = time.monotonic(), [one.cpu_seconds() for one in servers]
        paced = {"rate": rate, "seconds": lasts}
        with program.started(SOCKET_LOOP.command, "pace", 0, addresses, paced) as publisher:
            sent = program.finish(publisher, program.LIMIT + lasts)
        said = program.finish(consumer, told=f"{sent['sent']}\n")
        seconds = time.monotonic() - began
        used = sum(one.cpu_seconds() for one in servers) - sum(before)
        received = sum(channel["message_count"] for one in servers for channel in one.channels())
        if not sent["sent"] == said["received"] == received:
            raise Lost(f"{sent['sent']} sent, {said['received']} received, nsqd counts {received}")
    achieved = sent["sent"] / sent["seconds"]
    figures = {name: micros / 1000 for name, micros in said["percentiles_us"].items()}
    figures |= {"sent": sent["sent"], "client_percent": said["cpu"] / said["seconds"] * 100}
    figures |= {"nsqd_percent": used / seconds * 100, "client_us": said["cpu"] * 1e6 / max(1, sent["sent"])}
    # What was asked for, unless nsqd took less: so the runs of one rate have the same place.
    x = float(rate) if rate and sent["sent"] >= 0.9 * rate * lasts - 1 else float(f"{achieved:.1e}")
    return Point(SUITE, _curve(nsqds), mode, x, figures)


def table(points: Sequence[Point]) -> str:
    """What the plots show, in numbers: medians of the rounds."""
    lines = [
        "| nsqd | low latency | messages/s | p50, ms | p99, ms | p99.9, ms | client, % of a core | nsqd, % of a core |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for nsqds in NSQDS:
        for mode in MODES:
            figures = [
                dict(curves.medians(points, _curve(nsqds), mode, figure))
                for figure in (*_PERCENTILES, "client_percent", "nsqd_percent")
            ]
            for rate in figures[0]:
                cells = (f"{column[rate]:.2f}" for column in figures)
                lines.append(f"| {nsqds} | {mode} | {rate:,.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)
