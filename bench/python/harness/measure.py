"""One run: a fresh nsqd, a fresh process, and nsqd's own word for it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from .places import command
from .server import Lost, Nsqd
from .works import CONSUME, IDLE, IDLE_CONSUMERS, Client, Work

#: How long one run may take.
_LIMIT = 60.0


@dataclass(frozen=True)
class Run:
    """What was measured."""

    messages_per_second: float
    #: Microseconds of the client's CPU a message; of an idle run, seconds.
    cpu: float
    peak_mib: float
    threads: int


def once(nsqd: Path, client: Client, work: Work, count: int) -> Run:
    """Does the work once, and checks that it was done."""
    with Nsqd(nsqd) as server:
        if work is CONSUME:
            server.fill(count)
        figures = _finish(_start(client, work, server, count), client)
        if work is CONSUME:
            server.check_consumed(count)
        else:
            # A client in Python publishes one more before it is measured, to be connected.
            server.check_published(count + (client.program is not None))
    cpu = figures["cpu"] * 1e6 / count
    return Run(count / figures["seconds"], cpu, figures["peak_kib"] / 1024, int(figures["threads"]))


def idle(nsqd: Path, clients: list[Client]) -> list[Run | Exception]:
    """All clients at once, each with an nsqd of its own: they don't disturb one another, having nothing to do."""
    runs: list[Run | Exception] = []
    with ExitStack() as stack:
        servers = [stack.enter_context(Nsqd(nsqd)) for _ in clients]
        processes = [_start(client, IDLE, server, IDLE_CONSUMERS) for client, server in zip(clients, servers)]
        seen = [0] * len(clients)
        while any(process.poll() is None for process in processes):
            seen = [max(most, server.clients()) for most, server in zip(seen, servers)]
            time.sleep(0.5)
        for client, process, most in zip(clients, processes, seen):
            try:
                figures = _finish(process, client)
                if most != IDLE_CONSUMERS:
                    raise Lost(f"{most} consumers were connected, not {IDLE_CONSUMERS}")
                runs.append(Run(0.0, figures["cpu"], figures["peak_kib"] / 1024, int(figures["threads"])))
            except Lost as error:
                runs.append(error)
    return runs


def _start(client: Client, work: Work, server: Nsqd, count: int) -> subprocess.Popen[str]:
    environment = os.environ | {"BENCH_MESSAGES": str(count)}
    if work.name == "publish-each":
        environment["BENCH_OUTSTANDING"] = "1"
    return subprocess.Popen(
        command(client, work.name, server.tcp, count),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process: subprocess.Popen[str], client: Client) -> dict[str, float]:
    try:
        output, errors = process.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        raise Lost(f"it was not done after {_LIMIT:.0f} s: {_last(errors)}") from None
    if process.returncode != 0:
        raise Lost(f"it ended with status {process.returncode}: {_last(errors)}")
    line = _last(output)
    if client.program is None:
        seconds, cpu, peak = map(float, line.split())
        return {"seconds": seconds, "cpu": cpu, "peak_kib": peak, "threads": 1}
    figures: dict[str, float] = json.loads(line)
    return figures


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]
