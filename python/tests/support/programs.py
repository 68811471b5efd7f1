"""Programs in processes of their own: what is tested is how they are interrupted, fork and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from . import mode
from .waiting import pause

_TESTS = Path(__file__).parents[1]


class Program:
    """A program of `tests/programs` that runs, in the mode of this run."""

    def __init__(self, output: Path, name: str, *args: object, flags: tuple[str, ...] = ()) -> None:
        self._output = output
        environment = {
            **os.environ,
            "GNSQ_TEST_MODE": mode.NAME,
            "PYTHONPATH": str(_TESTS),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
        }
        command = [sys.executable, *flags, str(_TESTS / "programs" / f"{name}.py"), *map(str, args)]
        with output.open("wb") as out:
            # A session of its own, to be ended with all of its children.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has printed, and its errors."""
        return self._output.read_text(errors="replace")

    def expect(self, line: str, timeout: float = 60) -> None:
        """Waits until it has printed this line."""
        deadline = time.monotonic() + timeout
        while line not in self.output.splitlines():
            ended = self._process.poll() is not None
            if ended and line not in self.output.splitlines():
                pytest.fail(f"it ended with {self._process.returncode}, and never printed {line!r}:\n{self.output}")
            if time.monotonic() > deadline:
                self._abort(f"it has not printed {line!r} within {timeout} s")
            pause(0.01)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """What an operator sends."""
        self._process.send_signal(signal.SIGTERM)

    def end(self, timeout: float = 30) -> int:
        """Waits until it has ended; gives its exit status."""
        deadline = time.monotonic() + timeout
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                self._abort(f"it still runs after {timeout} s")
            pause(0.01)
        return int(self._process.returncode)

    def kill(self) -> None:
        """Ends it without warning, if it runs, and what it has left behind."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _abort(self, why: str) -> None:
        """Fails, with the stacks of its threads."""
        self._process.send_signal(signal.SIGABRT)
        self._process.wait()
        pytest.fail(f"{why}:\n{self.output}")


@contextmanager
def running(directory: Path, name: str, *args: object, flags: tuple[str, ...] = ()) -> Iterator[Program]:
    """Runs it while the block does."""
    output = directory / f"{name}-{len(list(directory.iterdir()))}.out"
    program = Program(output, name, *args, flags=flags)
    try:
        yield program
    finally:
        program.kill()
