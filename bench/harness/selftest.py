"""Proof that a run which lost or doubled a message is not counted, and that honest ones are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from . import clients, liar, measure, places, works
from .clients import Client
from .server import Lost
from .works import Work

#: Enough for several batches.
_COUNT = 2000
_NAMES = (
    "publish-1",
    "publish-100",
    "publish-100-batching",
    "mpub-10-8",
    "consume",
    "consume-10-nsqd",
    "publish-tls",
    "consume-deflate",
    "round-trip",
    "first",
)


def run(build: bool) -> int:
    """Says what it found; 0 if all is well."""
    places.nsqd()
    places.prepare(["rust"], anew=build)
    problems = list(_problems())
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print("The check notices what is lost, doubled, changed, left over or repeated, and counts what is not.")
    return 1 if problems else 0


def _problems() -> Iterator[str]:
    by_name = {work.name: work for work in works.WORKS}
    for name in _NAMES:
        for client in (clients.SOCKET_LOOP, *clients.TOKIO_LOOPS, clients.GNSQ):
            work = by_name[name]
            if client.key in work.estimates:
                yield from _counted(client, work)
    yield from _counted(_liar("none"), by_name["publish-1"])
    yield from _counted(_liar("none"), by_name["consume"])
    for lie, program in liar.LIES.items():
        work = by_name["publish-1" if program == "publish" else "consume"]
        try:
            measure.once(_liar(lie), work, _COUNT)
        except Lost as error:
            print(f"{lie}: noticed, {error}", file=sys.stderr)
        else:
            yield f"a client that does this to a message was counted: {lie}"


def _counted(client: Client, work: Work) -> Iterator[str]:
    count = work.count or _COUNT
    try:
        run = measure.once(client, work, count)
    except Lost as error:
        yield f"{work.name}, {client.title}: {error}"
        return
    if run.seconds <= 0 or run.cpu < 0 or run.peak_kib <= 0:
        yield f"{work.name}, {client.title}: these can't be figures: {run}"
    if work.measures_latency and sum(run.latencies.values()) != count:
        yield f"{work.name}, {client.title}: {sum(run.latencies.values())} latencies of {count} messages"


def _liar(lie: str) -> Client:
    return Client("liar", "a liar", (sys.executable, Path(liar.__file__), lie), "none")
