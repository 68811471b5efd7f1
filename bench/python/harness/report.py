"""The table."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from statistics import median

from .measure import Run
from .works import IDLE, REFERENCE, SOCKET_LOOP, Client, Work

#: What was measured, a client and a work after another.
Runs = dict[tuple[str, str], list[Run]]


def surroundings(nsqd: Path) -> str:
    """On what it was measured."""
    version = subprocess.run([str(nsqd), "--version"], capture_output=True, text=True, check=False).stdout.strip()
    load = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{version}; load before: {load}."
    )


def table(runs: Runs, clients: list[Client], works: list[Work]) -> str:
    """Medians, with the least and the most; then the idle ones."""
    lines = [
        "| work | client | messages/s | spread | client CPU, us a message | peak memory, MiB | of gnsq 1.0.2 "
        "| of the socket loop |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for work in works:
        if work is IDLE:
            continue
        base = _rate(runs.get((REFERENCE.name, work.name)))
        loop = _rate(runs.get((SOCKET_LOOP.name, work.name)))
        for client in clients:
            mine = runs.get((client.name, work.name))
            if mine:
                lines.append(_row(work, client, mine, base, loop))
    if any(name == IDLE.name for _, name in runs):
        lines += [
            "",
            f"| {IDLE.title} | CPU, s | threads | peak memory, MiB |",
            "|---|---:|---:|---:|",
        ]
        for client in clients:
            mine = runs.get((client.name, IDLE.name))
            if mine:
                cpu = median(run.cpu for run in mine)
                threads = max(run.threads for run in mine)
                lines.append(f"| {client.name} | {cpu:.2f} | {threads} | {_peak(mine):.0f} |")
    return "\n".join(lines)


def _row(work: Work, client: Client, runs: list[Run], base: float | None, loop: float | None) -> str:
    rates = [run.messages_per_second for run in runs]
    rate = median(rates)
    cells = (
        work.title,
        client.name,
        _round(rate),
        f"{_round(min(rates))} to {_round(max(rates))}",
        f"{median(run.cpu for run in runs):.2f}",
        f"{_peak(runs):.0f}",
        f"{rate / base:.1f}" if base else "",
        f"{rate / loop:.2f}" if loop else "",
    )
    return f"| {' | '.join(cells)} |"


def _rate(runs: list[Run] | None) -> float | None:
    return median(run.messages_per_second for run in runs) if runs else None


def _peak(runs: list[Run]) -> float:
    return median(run.peak_mib for run in runs)


def _round(rate: float) -> str:
    """To three digits, which is more than can be told apart."""
    digits = 3 - len(str(int(rate)))
    return f"{round(rate, min(digits, 0)):,.0f}"
