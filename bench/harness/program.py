"""A client's process: its start, what it tells, and its end."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .server import Lost

#: How long one run may take, its servers' start included.
LIMIT = 60.0


@contextmanager
def started(
    command: Sequence[str | Path],
    work: str,
    count: int,
    addresses: Sequence[str],
    options: Mapping[str, str | float],
) -> Iterator[subprocess.Popen[str]]:
    """A process that does the work, and is surely gone afterwards."""
    arguments = [*map(str, command), work, str(count), ",".join(addresses)]
    arguments += itertools.chain.from_iterable((f"--{name}", str(value)) for name, value in options.items())
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def readable(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether it begins to tell something, or ends."""
    return process.stdout is not None and bool(select.select([process.stdout], [], [], seconds)[0])


def finish(process: subprocess.Popen[str], limit: float = LIMIT, told: str | None = None) -> Any:
    """Tells the process something, waits for its end, and gives the figures that it tells last."""
    try:
        output, errors = process.communicate(told, timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        raise Lost(f"it was not done after {limit:.0f} s: {_last(errors)}") from None
    if process.returncode != 0:
        raise Lost(f"it ended with status {process.returncode}: {_last(errors) or _last(output)}")
    try:
        return json.loads(_last(output))
    except ValueError:
        raise Lost(f"it tells no figures but {_last(output)!r}") from None


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]
