"""Tables in Markdown, and where they stand in the documentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from . import latency
from .clients import SOCKET_LOOP, Client
from .measure import Run
from .results import Results
from .works import Work


def rates(
    results: Results,
    works: Sequence[Work],
    clients: Sequence[Client],
    ours: Client | None = None,
    old: Client | None = None,
) -> str:
    """A block of rows a work: medians and spread, what part of the socket loop's rate each has, and how many times as
    fast `ours` is, or each is compared with `old`.
    """
    ratio = f"{ours.title} is faster by" if ours else f"of {old.title}'s" if old else ""
    base = ours or old or SOCKET_LOOP
    lines = [
        "| work | client | messages/s | spread | CPU, us a message | nsqd's CPU | peak memory, MiB "
        f"| of the socket loop's | {ratio} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for work in works:
        loop = _median_rate(results.of(work.name, SOCKET_LOOP.key))
        mine = _median_rate(results.of(work.name, base.key))
        title = work.title
        for client in clients:
            runs = results.of(work.name, client.key)
            if not runs:
                continue
            rate = _median_rate(runs) or 1.0
            all_rates = [run.rate for run in runs]
            cells = (
                title,
                client.title,
                rounded(rate),
                f"{rounded(min(all_rates))} to {rounded(max(all_rates))}",
                micros(median(run.cpu_micros for run in runs)),
                micros(median(run.server_micros for run in runs)),
                f"{median(run.peak_kib for run in runs) / 1024:.1f}",
                f"{rate / loop:.2f}" if loop else "",
                "" if not mine or client in (base, SOCKET_LOOP) else f"{mine / rate if ours else rate / mine:.2f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
            title = ""
    return "\n".join(lines)


def summary(results: Results, works: Sequence[Work], clients: Sequence[Client]) -> str:
    """A row a work, a column a client: the median rate, and the client's CPU a message."""
    lines = [
        f"| messages/s · CPU, us a message | {' | '.join(client.title for client in clients)} |",
        f"|---|{'---:|' * len(clients)}",
    ]
    for work in works:
        cells = [work.title]
        for client in clients:
            runs = results.of(work.name, client.key)
            rate = _median_rate(runs)
            cells.append(f"{rounded(rate)} · {micros(median(run.cpu_micros for run in runs))}" if rate else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def servers(results: Results, works: Sequence[Work], both: Sequence[Client]) -> str:
    """The servers' own CPU, and how many more messages a second of it the last does than the first."""
    head = "| work | server | messages/s | spread | server CPU, us a message | messages a CPU second |"
    lines = [head, "|---|---|---:|---:|---:|---:|"]
    for work in works:
        title, base = work.title, 0.0
        for server in both:
            runs = results.of(work.name, server.key)
            if runs:
                cpu = median(run.server_micros for run in runs)
                base = base or cpu
                rates = [run.rate for run in runs]
                spread = f"{rounded(min(rates))} to {rounded(max(rates))}"
                times = f"{base / cpu:.2f} times" if cpu and server is not both[0] else ""
                lines.append(
                    f"| {title} | {server.title} | {rounded(median(rates))} | {spread} | {micros(cpu)} | {times} |"
                )
                title = ""
    return "\n".join(lines)


def servers_more(results: Results, memory: str, start: str, both: Sequence[Client]) -> str:
    """What a queued message takes, and how soon a server serves."""
    lines = [
        "| server | memory a queued message of 200 bytes, bytes | start to first message, ms |",
        "|---|---:|---:|",
    ]
    for server in both:
        queued, starts = results.of(memory, server.key), results.of(start, server.key)
        if queued and starts:
            weight = median(run.more["bytes"] for run in queued)
            lines.append(f"| {server.title} | {weight:.0f} | {median(run.seconds for run in starts) * 1e3:.1f} |")
    return "\n".join(lines)


def layers(results: Results, works: Sequence[Work], layers: Sequence[Client], sent: Callable[[Work], str]) -> str:
    """What each layer costs beside none (the first), and the bytes it sends."""
    head = "| work | connection | messages/s | of the plain one's | client CPU, us a message | bytes sent a message |"
    lines = [head, "|---|---|---:|---:|---:|---:|"]
    for work in works:
        title, plain = work.title, _median_rate(results.of(work.name, layers[0].key))
        for layer in layers:
            runs = results.of(work.name, layer.key)
            if runs and plain:
                counted = results.of(sent(work), layer.key)
                size = f"{counted[0].more['bytes']:.0f}" if counted else ""
                rate = _median_rate(runs) or 0.0
                cpu = micros(median(run.cpu_micros for run in runs))
                lines.append(f"| {title} | {layer.title} | {rounded(rate)} | {rate / plain:.2f} | {cpu} | {size} |")
                title = ""
    return "\n".join(lines)


def latencies(results: Results, works: Sequence[Work], clients: Sequence[Client]) -> str:
    """Percentiles over the messages of all rounds."""
    lines = ["| work | client | p50, us | p99, us | p99.9, us | messages |", "|---|---|---:|---:|---:|---:|"]
    for work in works:
        title = work.title
        for client in clients:
            counts = latency.together(run.latencies for run in results.of(work.name, client.key))
            if counts:
                cells = [rounded(latency.percentile(counts, percent)) for percent in (50, 99, 99.9)]
                lines.append(f"| {title} | {client.title} | {' | '.join(cells)} | {sum(counts.values()):,} |")
                title = ""
    return "\n".join(lines)


def first(results: Results, work: Work, clients: Sequence[Client]) -> str:
    """From the start of the process to its first message."""
    lines = [f"| {work.title} | milliseconds | spread | peak memory, MiB |", "|---|---:|---:|---:|"]
    for client in clients:
        runs = results.of(work.name, client.key)
        if runs:
            times = [run.seconds * 1e3 for run in runs]
            peak = median(run.peak_kib for run in runs) / 1024
            spread = f"{min(times):.1f} to {max(times):.1f}"
            lines.append(f"| {client.title} | {median(times):.1f} | {spread} | {peak:.1f} |")
    return "\n".join(lines)


def idle(results: Results, work: Work, clients: Sequence[Client]) -> str:
    """What it costs to wait."""
    lines = [f"| {work.title} | CPU, ms | nsqd's CPU, ms | threads | peak memory, MiB |", "|---|---:|---:|---:|---:|"]
    for client in clients:
        for run in results.of(work.name, client.key):
            lines.append(
                f"| {client.title} | {run.cpu * 1e3:.0f} | {run.server_cpu * 1e3:.0f} | {run.threads} "
                f"| {run.peak_kib / 1024:.1f} |"
            )
    return "\n".join(lines)


def surroundings(results: Results, suite: str) -> str:
    """On what it was measured, in a sentence or two."""
    about = results.surroundings.get(suite)
    if about is None:
        return "Not measured yet."
    versions = about["versions"]
    text = (
        f"Measured on {about['date']}: {about['cpu']}, {about['cores']} cores, {about['system']}; {versions['nsqd']}, "
        f"{versions['rustc']}, {versions['go']}, node {versions['node']}, Python {versions['python']}. "
        f"{about['rounds']} rounds of about {about['seconds_a_run']} s a run, {about['took_seconds']} s in all; "
        f"load {about['load_before']} before, {about['load_during']} during; "
        f"other programs used {about['used_by_others'] * 100:.0f} % of the processor meanwhile."
    )
    failures = results.failures.get(suite, [])
    if failures:
        text += "\n\nNot counted, because the check failed:\n\n" + "\n".join(f"- {failure}" for failure in failures)
    return text


def insert(path: Path, parts: dict[str, str]) -> None:
    """Puts each part between its markers in the file: `<!-- bench: NAME -->` and `<!-- /bench: NAME -->`."""
    text = path.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- bench: {name} -->", f"<!-- /bench: {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{path} has no markers for {name}")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    path.write_text(text)


def rounded(number: float) -> str:
    """To three digits, which is more than can be told apart."""
    digits = 3 - len(str(int(number)))
    return f"{round(number, min(digits, 0)):,.0f}" if number >= 100 else f"{number:.3g}"


def micros(number: float) -> str:
    """A time a message."""
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _median_rate(runs: list[Run]) -> float | None:
    return median(run.rate for run in runs) if runs else None
