"""Ctrl-C ends each call that blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import programs
from support.servers import Nsqd, real_only
from support.waiting import pause

pytestmark = pytest.mark.modes("threads", "gevent", "patched")


def interrupt(directory: Path, call: str, nsqd: Nsqd, topic: str) -> None:
    """Has a program block in the call, and interrupts it."""
    with programs.running(directory, "blocking_call", call, nsqd.tcp_address, topic) as program:
        program.expect("blocking")
        if call in ("publish", "multipublish", "result.get"):
            nsqd.pause()  # type: ignore[attr-defined]
        # There is no event to tell that a call has blocked. Sooner, the interrupt would find it on its way there.
        pause(0.3)
        program.interrupt()
        assert program.end() == 0, program.output
        # A second start warns, too.
        assert program.output.endswith("interrupted\n")
        assert "Traceback" not in program.output


@real_only
@pytest.mark.parametrize("call", ["publish", "multipublish", "result.get", "producer.join"])
def test_ctrl_c_ends_a_call_of_a_producer(tmp_path: Path, nsqd: Nsqd, topic: str, call: str) -> None:
    interrupt(tmp_path, call, nsqd, topic)


@real_only
def test_ctrl_c_ends_a_publish_that_waits_for_a_connection(tmp_path: Path, nsqd: Nsqd, topic: str) -> None:
    nsqd.stop()
    interrupt(tmp_path, "publish_unconnected", nsqd, topic)


@real_only
@pytest.mark.parametrize("call", ["start", "messages", "consumer.join", "second_start"])
def test_ctrl_c_ends_a_call_of_a_consumer(tmp_path: Path, nsqd: Nsqd, topic: str, call: str) -> None:
    interrupt(tmp_path, call, nsqd, topic)


@real_only
@pytest.mark.parametrize("call", ["listen", "read_response"])
def test_ctrl_c_ends_a_call_of_a_connection(tmp_path: Path, nsqd: Nsqd, topic: str, call: str) -> None:
    interrupt(tmp_path, call, nsqd, topic)
