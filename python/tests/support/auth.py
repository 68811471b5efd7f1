"""An HTTP server that tells nsqd what the bearer of a secret may do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(secret: str) -> Iterator[str]:
    """Runs it in a process of its own, where nothing that is tested can hold it up; gives its `host:port`."""
    with subprocess.Popen([sys.executable, str(_PROGRAM), secret], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


_PROGRAM = Path(__file__).parents[1] / "programs" / "auth_server.py"
