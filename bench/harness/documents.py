"""Which tables stand in which document."""

from __future__ import annotations

from . import clients, growth, low_load, places, report, security, servers, works
from .results import Results
from .suites import Suite

_RUST = places.CHECKOUT / "docs" / "performance.md"
_README = places.CHECKOUT / "README.md"
_PYTHON = places.CHECKOUT / "docs" / "python" / "performance.md"


def write(results: Results) -> None:
    """All of them."""
    summary = {
        "surroundings": report.surroundings(results, "clients"),
        "summary": report.summary(results, _IN_SHORT, clients.ALL),
        "summary-python": report.summary(results, works.PYTHON[:-1], clients.IN_PYTHON),
        "summary-servers": report.servers(results, servers.WORKS, servers.BOTH),
    }
    report.insert(_README, summary)
    report.insert(_RUST, {name: part for name, part in _parts(results).items() if not name.startswith("python")})
    report.insert(_PYTHON, {name: part for name, part in _parts(results).items() if name.startswith("python")})


def printed(results: Results, suite: Suite) -> str:
    """What was measured of a suite, to be read at once."""
    rated = [work for work in suite.works if work.program not in {"idle", "first"}]
    if suite.name in {"servers", "security"}:
        return "\n\n".join(part for name, part in _parts(results).items() if name.startswith(suite.name)) + "\n"
    compared = {"old": clients.OLD_GNSQ} if suite.name == "python" else {"ours": clients.GNSQ}
    parts = [report.surroundings(results, suite.name), report.rates(results, rated, suite.clients, **compared)]
    if any(work.measures_latency for work in suite.works):
        parts.append(report.latencies(results, suite.works, suite.clients))
    parts += [report.first(results, work, suite.clients) for work in suite.works if work.program == "first"]
    parts += [report.idle(results, work, suite.clients) for work in suite.works if work.program == "idle"]
    return "\n\n".join(parts) + "\n"


def _parts(results: Results) -> dict[str, str]:
    """Each by the name of its markers."""

    def rates(some: tuple[works.Work, ...]) -> str:
        return report.rates(results, some, clients.WITH_FLOORS, ours=clients.GNSQ)

    return {
        "surroundings": report.surroundings(results, "clients"),
        "publish": rates(works.PUBLISH),
        "consume": rates(works.CONSUME),
        "bodies": rates(works.BODIES),
        "layers": rates(works.LAYERS),
        "round-trips": report.latencies(results, works.ROUND_TRIPS, clients.WITH_FLOORS),
        "low-load": low_load.table(results.points),
        "low-load-surroundings": report.surroundings(results, low_load.SUITE),
        "growth-surroundings": report.surroundings(results, growth.SUITE),
        "first": report.first(results, works.FIRST, clients.ALL),
        "idle": report.idle(results, works.IDLE, clients.ALL),
        "servers-surroundings": report.surroundings(results, "servers"),
        "servers": report.servers(results, servers.WORKS, servers.BOTH),
        "servers-more": report.servers_more(results, servers.MEMORY, servers.START, servers.BOTH),
        "security-surroundings": report.surroundings(results, "security"),
        "security": report.layers(results, security.WORKS, security.LAYERS, security.sent),
        "python-surroundings": report.surroundings(results, "python"),
        "python": report.rates(results, works.PYTHON[:-1], clients.IN_PYTHON, old=clients.OLD_GNSQ),
        "python-idle": report.idle(results, works.PYTHON_IDLE, clients.IN_PYTHON),
    }


#: What most programs do.
_IN_SHORT = tuple(
    work
    for work in (*works.CONSUME, *works.PUBLISH)
    if work.name in {"consume", "publish-1", "publish-100", "publish-100-batching", "mpub-200-1", "mpub-200-8"}
)
