"""A producer and its process: forks, signals, the exit of the interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import mode, pool_work
from support.servers import Nsqd

import gnsq

#: Begins each program as the mode of this run wants it.
BEGIN = "from support import mode; mode.begin()\nimport gnsq, os, signal, sys, threading, time\n"


def run(program: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-W", "error", "-c", BEGIN + program, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"it doesn't end: {out!r} {err!r}")
    return process.returncode, out.decode(), err.decode()


def test_a_child_uses_its_own_and_is_told_of_its_parents(nsqd: Nsqd, topic: str) -> None:
    program = """
parents = gnsq.Producer(sys.argv[1])
unstarted = gnsq.Producer(sys.argv[1])
parents.start()
parents.publish(sys.argv[2], b"parent")
pending = parents.publish(sys.argv[2], b"parent", raise_error=False)
pid = os.fork()
if pid == 0:
    for use in (
        lambda: parents.publish(sys.argv[2], b"x"),
        lambda: parents.multipublish(sys.argv[2], [b"x"], raise_error=False),
        lambda: parents.connect_to_nsqd("localhost", 1),
    ):
        try:
            use()
        except gnsq.errors.NSQException as error:
            assert "fork" in str(error), error
        else:
            raise AssertionError
    assert not parents.is_running
    repr(parents)
    with gnsq.Producer(sys.argv[1]) as own:
        assert own.publish(sys.argv[2], b"child") == b"OK"
    with unstarted:
        assert unstarted.publish(sys.argv[2], b"child") == b"OK"
    del parents
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert pending.get(timeout=30) == b"OK"
assert parents.publish(sys.argv[2], b"parent") == b"OK"
parents.close()
parents.join()
"""
    assert ended(run(program, nsqd.tcp_address, topic)) == (0, "", "")
    assert nsqd.stats(topic)["message_count"] == 5


@pytest.mark.parametrize("call", ["publish(sys.argv[1], b'x')", "multipublish(sys.argv[1], [b'x'])", "join()"])
def test_ctrl_c_ends_what_blocks(topic: str, call: str) -> None:
    program = f"""
producer = gnsq.Producer("127.0.0.1:1")
producer.start()
print("blocks", flush=True)
try:
    producer.{call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    process = run(program, topic)
    assert process.stdout is not None
    assert process.stdout.readline() == b"blocks\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert (code, out) == (0, "interrupted\n"), err


@pytest.mark.parametrize("listens", [False, True])
def test_an_exit_with_a_running_producer_sends_what_is_outstanding(nsqd: Nsqd, topic: str, listens: bool) -> None:
    program = f"""
producer = gnsq.Producer(sys.argv[1])
if {listens}:
    producer.on_response.connect(lambda sender, response: None, weak=False)
producer.start()
for _ in range(1000):
    producer.publish(sys.argv[2], b"x", raise_error=False)
"""
    assert ended(run(program, nsqd.tcp_address, topic)) == (0, "", "")
    assert nsqd.stats(topic)["message_count"] == 1000


def test_an_exit_ends_publishes_that_wait(topic: str) -> None:
    program = """
producer = gnsq.Producer("127.0.0.1:1")
producer.start()
for _ in range(3):
    threading.Thread(target=lambda: producer.publish(sys.argv[1], b"x"), daemon=True).start()
time.sleep(0.2)
"""
    began = time.monotonic()
    code, _, err = ended(run(program, topic))
    assert code == 0, err
    assert time.monotonic() - began < 20


def test_starts_and_stops_leave_nothing_behind(nsqd: Nsqd) -> None:
    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    def cycle() -> None:
        with gnsq.Producer(nsqd.tcp_address) as producer:
            producer.on_response.connect(lambda sender, response: None, weak=False)
            producer.publish("t", b"x")

    for _ in range(20):
        cycle()
    before = count()
    for _ in range(100):
        cycle()
    deadline = time.monotonic() + 30
    while any(now > was + 2 for now, was in zip(count(), before)):
        assert time.monotonic() < deadline, (before, count())
        time.sleep(0.1)


@pytest.mark.skipif(mode.IS_GEVENT, reason="fork and multiprocessing under gevent are gevent's")
def test_a_pool_of_processes_can_publish(nsqd: Nsqd, topic: str) -> None:
    import multiprocessing

    with gnsq.Producer(nsqd.tcp_address) as producer:
        producer.publish(topic, b"x")
        for method in ("fork", "spawn"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                assert pool.starmap(pool_work.publish, [(nsqd.tcp_address, topic)] * 4) == [b"OK"] * 4
        assert producer.publish(topic, b"x") == b"OK"
    assert nsqd.stats(topic)["message_count"] == 10
