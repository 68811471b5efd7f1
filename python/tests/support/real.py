"""The real nsqd and nsqlookupd, each a child process with ports and a directory of its own."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from .http import HttpSide, NsqdSide
from .waiting import eventually, pause


def program(name: str) -> Path:
    """One of NSQ's programs. A test that finds none fails: it is never skipped."""
    named = os.environ.get("GNSQ_TEST_BIN_DIR")
    directory = Path(named) if named else Path(__file__).parents[3] / "tools" / "bin"
    path = directory / name
    if not path.is_file():
        pytest.fail(
            f"{name} is not in {directory}: run `make tools`, or set GNSQ_TEST_BIN_DIR to the directory that has it",
            pytrace=False,
        )
    return path


class _Real(HttpSide):
    _program: str

    def __init__(self, directory: Path, *, host: str = "127.0.0.1", **options: object) -> None:
        self.host = host
        self.tcp_port, self.http_port = free_port(host), free_port(host)
        self._directory = directory
        self._flags = list(_flags(options))
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def start(self) -> None:
        """Starts it, on the same ports as before, and waits until it listens."""
        path = program(self._program)
        for _ in range(_TRIES):
            self._starts += 1
            log = self._log
            with log.open("wb") as out:
                # No child of a test's process: a fork there must not take it along, nor Ctrl-C reach it.
                self._process = subprocess.Popen(
                    [str(path), *self._arguments()],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            if self._listens(log):
                return
            if self._starts > 1 or b"address already in use" not in log.read_bytes():
                break
            # Someone else was faster.
            self.tcp_port, self.http_port = free_port(self.host), free_port(self.host)
        self.kill()
        pytest.fail(f"{self._program} did not start:\n{self.log}")

    def stop(self) -> None:
        """Ends it as an operator would: what it holds goes to its disk."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it without warning. One that has ended already is no error."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stops it from running, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        # Until it has stopped, it may still answer. A patched `waitpid` would wait for its end.
        process = psutil.Process(self._process.pid)
        eventually(lambda: process.status() == psutil.STATUS_STOPPED)

    def resume(self) -> None:
        """Lets it run again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def log(self) -> str:
        """What it has written since its last start."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self._directory / f"{self._starts}.log"

    def _arguments(self) -> list[str]:
        flags = [("tcp-address", self.tcp_address), ("http-address", f"{self.http_address[len('http://') :]}")]
        return [f"--{name}={value}" for name, value in [*flags, *self._more(), *self._flags]]

    def _more(self) -> Sequence[tuple[str, object]]:
        return []

    def _listens(self, log: Path) -> bool:
        deadline = time.monotonic() + _TIME_TO_START
        while time.monotonic() < deadline:
            text = log.read_bytes()
            if b"TCP: listening on" in text and b"HTTP: listening on" in text:
                return True
            if self._process is None or self._process.poll() is not None:
                return False
            pause(0.01)
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + _TIME_TO_STOP
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                pytest.fail(f"{self._program} did not end:\n{self.log}")
            pause(0.005)


class RealNsqd(_Real, NsqdSide):
    """The real nsqd."""

    _program = "nsqd"

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        lookupds: Sequence[RealNsqlookupd] = (),
        **options: object,
    ) -> None:
        super().__init__(directory, host=host, **options)
        self._lookupds = lookupds

    def _more(self) -> Sequence[tuple[str, object]]:
        lookupds = [("lookupd-tcp-address", one.tcp_address) for one in self._lookupds]
        host = f"[{self.host}]" if ":" in self.host else self.host
        # With a certificate it would listen on one and the same port in each test.
        https = ("https-address", f"{host}:0")
        return [("data-path", self._directory), ("broadcast-address", self.host), https, *lookupds]


class RealNsqlookupd(_Real):
    """The real nsqlookupd."""

    _program = "nsqlookupd"

    def _more(self) -> Sequence[tuple[str, object]]:
        return [("broadcast-address", self.host)]


def _flags(options: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The flags that mean what the options of `gnsq.testing` mean."""
    for name, value in options.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        for one in values:
            seconds = name.endswith(("_timeout", "_interval", "_lifetime"))
            text = f"{one}s" if seconds else str(one).lower() if isinstance(one, bool) else one
            yield name.replace("_", "-"), text


def free_port(host: str) -> int:
    """A port nobody listens on, outside of those that the system gives to outgoing connections: a server that is
    started again must find it free, and a client that tries it meanwhile must not connect to itself. Each
    is given once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in _PORTS:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is left")


#: By chance, since other tests may run on this machine.
_PORTS = iter(random.sample(range(15_000, 32_000), 17_000))
_TRIES = 5
_TIME_TO_START = 30
_TIME_TO_STOP = 30
