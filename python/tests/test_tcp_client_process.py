"""NsqdTCPClient and its process: Ctrl-C, exit and fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

import pytest
from support import mode
from support.servers import Nsqd

from gnsq import NsqdTCPClient, errors

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(mode.NAME == "asyncio", reason="asyncio has a client of its own"),
]

_PRELUDE = """
import sys
from support import mode
mode.begin()
import gnsq
from gnsq import NsqdTCPClient
host, port, topic = sys.argv[1], int(sys.argv[2]), sys.argv[3]
conn = NsqdTCPClient(host, port)
conn.connect()
conn.identify()
conn.subscribe(topic, "channel")
assert conn.read_response()[1] == b"OK"
"""


@contextmanager
def program(nsqd: Nsqd, topic: str, text: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program in this mode, with a connection `conn`."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "GNSQ_TEST_MODE": mode.NAME}
    arguments = [nsqd.host, str(nsqd.tcp_port), topic]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _PRELUDE + textwrap.dedent(text), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("call", ["conn.read_response()", "conn.listen()"])
def test_ctrl_c_ends_a_wait(nsqd: Nsqd, topic: str, call: str) -> None:
    with program(nsqd, topic, f"print('waiting', flush=True)\n{call}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        assert process.returncode == -signal.SIGINT, error.decode()
        assert b"KeyboardInterrupt" in error


def test_at_exit_all_is_sent_and_what_nobody_has_read_goes_back(
    nsqd: Nsqd, topic: str, eventually: Callable[..., object]
) -> None:
    nsqd.publish(topic, *(b"%d" % number for number in range(5)))
    text = """
    conn.ready(5)
    _, message = conn.read_response()
    while "4 to take" not in repr(conn._native.events):
        conn.nop()
    message.finish()
    conn.publish(topic + ".more", b"the last words")
    """
    with program(nsqd, topic, text) as process:
        _, error = process.communicate(timeout=30)
        assert (process.returncode, error.decode()) == (0, "")
    stats = eventually(lambda: (found := nsqd.stats(topic, "channel")) and found["depth"] == 4 and found)
    assert isinstance(stats, dict)
    assert (stats["in_flight_count"], stats["message_count"]) == (0, 5)
    assert nsqd.stats(f"{topic}.more")["depth"] == 1


def test_exit_does_not_wait_for_a_thread_that_reads(nsqd: Nsqd, topic: str) -> None:
    text = """
    import threading
    threading.Thread(target=conn.listen, daemon=True).start()
    if mode.IS_GEVENT:
        import gevent
        gevent.sleep(0.2)
    """
    with program(nsqd, topic, text) as process:
        _, error = process.communicate(timeout=30)
        assert (process.returncode, error.decode()) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_a_fork_makes_its_own(nsqd: Nsqd, topic: str) -> None:
    conn = NsqdTCPClient(nsqd.host, nsqd.tcp_port)
    conn.connect()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for use in (conn.read_response, conn.listen, conn.nop, conn.identify, conn.close_stream):
                with pytest.raises(errors.NSQException, match="fork"):
                    use()
            with NsqdTCPClient(nsqd.host, nsqd.tcp_port) as own:
                own.publish(topic, b"from the child")
                assert own.read_response()[1] == b"OK"
            del conn
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    conn.publish(topic, b"from the parent")
    assert conn.read_response()[1] == b"OK"
    conn.close_stream()
    assert nsqd.stats(topic)["message_count"] == 2
