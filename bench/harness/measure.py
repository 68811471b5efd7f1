"""One run: fresh servers, a fresh process, and the servers' own word for it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import bodies, latency, places, program
from .clients import Client
from .server import Lost, Server, nsqd
from .works import Work


@dataclass(frozen=True)
class Run:
    """What was measured."""

    suite: str
    work: str
    client: str
    round: int
    #: How many messages (of `idle`: consumers).
    count: int
    #: On the clock, from when the client was ready; of `first`: from when its process was started.
    seconds: float
    #: Seconds of the client's CPU in that time.
    cpu: float
    peak_kib: int
    threads: int
    #: Seconds of the servers' CPU, from the start of the client's process to its end.
    server_cpu: float
    latencies: latency.Histogram = field(default_factory=dict)
    #: What the client tells beside that.
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.count / self.seconds

    @property
    def cpu_micros(self) -> float:
        """Microseconds of the client's CPU a message."""
        return self.cpu * 1e6 / self.count

    @property
    def server_micros(self) -> float:
        """Microseconds of the servers' CPU a message."""
        return self.server_cpu * 1e6 / self.count


def once(
    client: Client,
    work: Work,
    count: int,
    suite: str = "clients",
    turn: int = 0,
    start: Callable[[], Server] | None = None,
) -> Run:
    """Does the work once, on servers that `start` gives (else nsqds), and checks that it was done."""
    with ExitStack() as stack:
        servers = [stack.enter_context(start() if start else _nsqd(work)) for _ in range(work.servers)]
        shares = [count // len(servers) + (number < count % len(servers)) for number in range(len(servers))]
        if work.consumes:
            for server, share in zip(servers, shares):
                server.fill(bodies.text(work.body) if work.text else bodies.plain(work.body), share)
        before = sum(server.cpu_seconds() for server in servers)
        began = time.monotonic()
        with _started(client, work, count, [server.tcp for server in servers]) as process:
            most = _watch(process, servers) if work.program == "idle" else 0
            figures, first = _finish(process, began)
        after = sum(server.cpu_seconds() for server in servers)
        _check(work, count, servers, shares, figures, most)
    return Run(
        suite=suite,
        work=work.name,
        client=client.key,
        round=turn,
        count=count,
        seconds=first if work.program == "first" else figures["seconds"],
        cpu=figures["cpu"],
        peak_kib=int(figures["peak_kib"]),
        threads=int(figures["threads"]),
        server_cpu=after - before,
        latencies=latency.histogram(figures.get("latencies_us", ())),
        more=figures.get("more", {}),
    )


def told(client: Client, work: Work, count: int, addresses: list[str]) -> Any:
    """What the client tells of the work, unchecked."""
    with _started(client, work, count, addresses) as process:
        return _finish(process, time.monotonic())[0]


def _nsqd(work: Work) -> Server:
    more: tuple[str, ...] = ()
    if work.options.get("tls"):
        certificate, key = certificates()
        more = (f"--tls-cert={certificate}", f"--tls-key={key}")
    return nsqd(places.nsqd(), *more)


def certificates() -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    directory = places.BUILT / "tls"
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if not certificate.exists():
        subprocess.run([str(places.rust_program()), "certificate", str(directory)], check=True)
    return certificate, key


def _check(work: Work, count: int, servers: list[Server], shares: list[int], figures: Any, most: int) -> None:
    # Those that publish one more before they are measured, to be connected, tell so.
    extra = int(figures.get("warm_up", 0))
    if work.program == "idle":
        if most != count:
            raise Lost(f"{most} consumers were connected, not {count}")
    elif work.consumes or work.measures_latency:
        for server, share in zip(servers, shares):
            server.check_consumed(share + extra)
    else:
        servers[0].check_published(count + extra, (count + extra) * work.body)


def _started(
    client: Client, work: Work, count: int, addresses: list[str]
) -> AbstractContextManager[subprocess.Popen[str]]:
    options: dict[str, str | float] = {"body": work.body, **work.options, **client.options}
    if work.text:
        options["bodies"] = str(bodies.file(work.body))
    if options.get("tls"):
        options["tls"] = str(certificates()[0])
    return program.started(client.command, work.program, count, addresses, options)


def _watch(process: subprocess.Popen[str], servers: list[Server]) -> int:
    """How many consumers were connected at most, until the process says that it is done."""
    deadline, most = time.monotonic() + program.LIMIT, 0
    while time.monotonic() < deadline and not program.readable(process, 0.5):
        most = max(most, sum(server.connected() for server in servers))
    return most


def _finish(process: subprocess.Popen[str], began: float) -> tuple[Any, float]:
    """What the process tells, and after how many seconds it begins to."""
    program.readable(process, program.LIMIT)
    first = time.monotonic() - began
    return program.finish(process, max(1.0, program.LIMIT - first)), first
