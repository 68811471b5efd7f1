"""The examples run, against the embedded nsqd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable
from urllib.error import HTTPError

import pytest
from support.real import free_port
from support.waiting import eventually

from gnsq import testing

# They run in processes of their own.
pytestmark = pytest.mark.modes("threads")

_EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def nsqd() -> Iterator[testing.Nsqd]:
    """An nsqd in memory."""
    with testing.Nsqd() as nsqd:
        yield nsqd


def test_one_runs_without_anything() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(_EXAMPLES / "in_memory.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == [f"order {number}" for number in range(10)]
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_worker_handles_orders_and_ends_when_it_is_told(
    nsqd: testing.Nsqd, tmp_path: Path, number: signal.Signals
) -> None:
    _client(nsqd).publish("orders", b"a soup")
    with _running(nsqd, tmp_path, "-W", "error", "worker.py") as program:
        eventually(lambda: "cooking a soup" in program.output())
        eventually(lambda: _channel(nsqd)["depth"] + _channel(nsqd)["in_flight_count"] == 0)
        program.send_signal(number)
        assert program.wait() == 0, program.output()
    assert "Traceback" not in program.output()
    assert _channel(nsqd)["clients"] == []


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_flask_publishes_under_gunicorn(nsqd: testing.Nsqd, tmp_path: Path, worker: str) -> None:
    port = free_port("127.0.0.1")
    arguments = ("-m", "gunicorn", "--preload", "-w", "2", "-k", worker, "-b", f"127.0.0.1:{port}", "flask_orders:app")
    with _running(nsqd, tmp_path, *arguments) as program:
        answers = [_post_when_up(f"http://127.0.0.1:{port}/orders", b"a tea") for _ in range(20)]
        assert answers == [(201, b'{"accepted":true}\n')] * 20
        assert nsqd.stats()["topics"][0]["message_count"] == 20
        assert _post(f"http://127.0.0.1:{port}/orders", b"")[0] == 503
        program.send_signal(signal.SIGTERM)
        assert program.wait() == 0, program.output()
    assert "Traceback" not in program.output()


def test_fastapi_publishes_and_handles(nsqd: testing.Nsqd, tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    with _running(nsqd, tmp_path, "-m", "uvicorn", "--port", str(port), "fastapi_orders:app") as program:
        url = f"http://127.0.0.1:{port}"
        answers = [_post_when_up(f"{url}/orders", b"order %d" % number) for number in range(20)]
        assert answers == [(201, b'{"accepted":true}')] * 20
        eventually(lambda: b'"order 19"' in urllib.request.urlopen(f"{url}/handled", timeout=10).read())
        assert _post(f"{url}/orders", b"")[0] == 503
        program.send_signal(signal.SIGTERM)
        # uvicorn tells of the signal that ended it.
        assert program.wait() in (0, -signal.SIGTERM), program.output()
    assert "Traceback" not in program.output()
    assert _channel(nsqd)["clients"] == []
    assert _channel(nsqd)["depth"] + _channel(nsqd)["in_flight_count"] == 0


class _Program:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self.send_signal = process.send_signal

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait(self) -> int:
        return self._process.wait(timeout=30)


@contextmanager
def _running(nsqd: testing.Nsqd, directory: Path, *arguments: str) -> Iterator[_Program]:
    """Runs it where the examples are."""
    log = directory / "output.log"
    environment = {**os.environ, "NSQD_TCP_ADDRESS": nsqd.tcp_address, "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=_EXAMPLES,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield _Program(process, log)
    except Exception as error:
        raise AssertionError(log.read_text(errors="replace")) from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _post(url: str, body: bytes) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, data=body, timeout=30) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def _post_when_up(url: str, body: bytes) -> tuple[int, bytes]:
    def post() -> tuple[int, bytes] | None:
        try:
            return _post(url, body)
        except OSError:
            # It doesn't listen yet.
            return None

    found: Callable[[], Any] = post
    answer: tuple[int, bytes] = eventually(found)
    return answer


def _client(nsqd: testing.Nsqd) -> Any:
    import gnsq

    return gnsq.NsqdHTTPClient(nsqd.host, nsqd.http_port)


def _channel(nsqd: testing.Nsqd) -> dict[str, Any]:
    """The stats of the kitchen."""
    found: dict[str, Any] = _client(nsqd).stats("orders", "kitchen")["topics"][0]["channels"][0]
    return found
