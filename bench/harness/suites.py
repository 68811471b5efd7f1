"""Works and clients that are measured together, in turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from . import clients, measure, works
from .clients import Client
from .measure import Run
from .progress import show
from .server import Lost, Server
from .surroundings import Surroundings
from .works import Work


@dataclass(frozen=True)
class Suite:
    """A part of the whole that is measured at once and takes the place of what it measured before."""

    name: str
    works: Sequence[Work]
    clients: Sequence[Client]
    #: Starts a server for a work; none: the real nsqd, as the work wants it.
    start: Callable[[Client, Work], Server] | None = None
    #: What is measured in another way, in so many rounds; only when the suite is measured whole.
    more: Callable[[int], list[Run]] | None = None

    def only(self, names: list[str] | None, parts: list[str] | None) -> Suite:
        """Works of these names, clients with one of these in their name."""
        chosen = [work for work in self.works if names is None or work.name in names]
        who = [client for client in self.clients if parts is None or any(part in client.key for part in parts)]
        whole = names is None and parts is None
        return replace(self, works=chosen, clients=who, more=self.more if whole else None)

    def builds(self) -> list[str]:
        """What has to be built for it."""
        return [client.build for client in self.clients]

    def run(self, rounds: int, seconds: float, surroundings: Surroundings) -> tuple[list[Run], list[str]]:
        """All runs that count, and what was wrong with the others."""
        runs: list[Run] = []
        failures: list[str] = []
        rates: dict[tuple[str, str], float] = {}

        def once(client: Client, work: Work, turn: int) -> None:
            count = work.messages(client, seconds, rates.get((client.key, work.name)))
            start = partial(self.start, client, work) if self.start else None
            try:
                run = measure.once(client, work, count, self.name, turn, start)
            except (Lost, OSError) as error:
                failures.append(f"{work.name}, {client.title}, round {turn + 1}: {error}")
                show()
                print(failures[-1], file=sys.stderr)
            else:
                rates[client.key, work.name] = run.rate
                runs.append(run)

        for turn in range(rounds):
            # Each second round the other way, so that nobody always comes after the same one.
            order = self.clients if turn % 2 == 0 else self.clients[::-1]
            for work in self.works:
                surroundings.sample()
                if work.program == "idle":
                    continue
                for client in order:
                    if client.key in work.estimates:
                        show(f"{turn + 1}/{rounds} {work.name}: {client.title}")
                        once(client, work, turn)
        for work in self.works:
            # All at once, each with an nsqd of its own: they don't disturb one another, having nothing to do.
            idlers = [client for client in self.clients if work.program == "idle" and client.key in work.estimates]
            if idlers:
                show(work.name)
                with ThreadPoolExecutor(len(idlers)) as pool:
                    list(pool.map(lambda client: once(client, work, 0), idlers))  # noqa: B023
        if self.more is not None:
            show("more of the " + self.name)
            runs += self.more(rounds)
        show()
        return runs, failures


CLIENTS = Suite("clients", works.WORKS, clients.WITH_FLOORS)
PYTHON = Suite("python", works.PYTHON, clients.IN_PYTHON)
