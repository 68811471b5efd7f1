"""Under gunicorn, with the application loaded before it forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from support.real import free_port
from support.servers import Nsqd, real_only

# gunicorn's own workers say what is patched.
pytestmark = pytest.mark.modes("threads")


@pytest.fixture(params=["sync", "gthread", "gevent"])
def url(
    request: pytest.FixtureRequest, tmp_path: Path, nsqd: Nsqd, topic: str, eventually: Callable[..., Any]
) -> Iterator[str]:
    """Where the application answers; in the end gunicorn ends as an operator ends it."""
    port = free_port("127.0.0.1")
    log = tmp_path / "gunicorn.log"
    programs = Path(__file__).parent / "programs"
    options = ["--preload", "-w", "2", "-k", request.param, "-b", f"127.0.0.1:{port}", "--threads", "4"]
    environment = {**os.environ, "GNSQ_TEST_NSQD": nsqd.tcp_address, "GNSQ_TEST_TOPIC": topic}
    with log.open("wb") as out:
        gunicorn = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "--chdir", str(programs), "web:application"],
            stdout=out,
            stderr=out,
            env=environment,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        # One that is told to end while it still begins misses it.
        eventually(lambda: len({get(url, "/")[0] for _ in range(10)}) == 2)
        yield url
        gunicorn.send_signal(signal.SIGTERM)
        assert gunicorn.wait(timeout=30) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
    except Exception as error:
        raise AssertionError(log.read_text()) from error
    finally:
        gunicorn.kill()
        gunicorn.wait()


def get(url: str, path: str) -> tuple[bytes, bytes]:
    """The worker's pid, and the answer."""
    with urlopen(url + path, timeout=30) as response:
        pid, _, answer = response.read().partition(b" ")
    return pid, answer


@real_only
def test_workers_publish_with_producers_of_their_own(url: str, nsqd: Nsqd, topic: str) -> None:
    begin = nsqd.stats(topic)["message_count"]
    answers = [get(url, "/") for _ in range(40)]
    assert {answer for _, answer in answers} == {b"OK"}
    assert nsqd.stats(topic)["message_count"] == begin + 40


@real_only
def test_a_producer_that_began_before_the_fork_is_refused_in_clear_words(
    url: str, eventually: Callable[..., Any]
) -> None:
    def refused() -> bool:
        try:
            urlopen(url + "/preloaded", timeout=30)
        except HTTPError as error:
            return b"fork" in error.read()
        return False

    eventually(refused)
