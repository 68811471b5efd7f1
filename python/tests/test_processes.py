"""Processes that use gnsq: what is left of their clients, what they cost, and how they are run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import pytest
from support import mode, programs
from support.servers import Nsqd, real_only

pytestmark = pytest.mark.modes("threads", "gevent", "patched")

#: GNSQ_TEST_STARTS=10000 for a long run.
STARTS = int(os.environ.get("GNSQ_TEST_STARTS", "500"))


@real_only
@pytest.mark.modes("threads", "gevent", "patched", "asyncio")
@pytest.mark.timeout(120 + STARTS)
def test_clients_that_are_closed_leave_nothing_behind(tmp_path: Path, nsqd: Nsqd, topic: str) -> None:
    with programs.running(tmp_path, "many_starts", STARTS, nsqd.tcp_address, topic) as program:
        assert program.end(timeout=100 + STARTS) == 0, program.output
        assert program.output.endswith("done\n")


@real_only
def test_consumers_without_work_cost_nothing(tmp_path: Path, nsqd: Nsqd, topic: str) -> None:
    with programs.running(tmp_path, "idle", nsqd.tcp_address, topic) as program:
        assert program.end(timeout=90) == 0, program.output
        assert program.output.endswith("done\n")


@pytest.mark.modes("threads", "gevent", "patched", "asyncio")
def test_a_program_may_make_warnings_errors(tmp_path: Path, nsqd: Nsqd, topic: str) -> None:
    flags = ("-W", "error", "-X", "dev")
    arguments = (nsqd.tcp_address, nsqd.http_address, topic)
    with programs.running(tmp_path, "everyday", *arguments, flags=flags) as program:
        assert program.end() == 0, program.output
        assert program.output == "done\n"


def test_a_handler_that_exits_loses_no_message(
    tmp_path: Path, nsqd: Nsqd, topic: str, eventually: Callable[..., Any]
) -> None:
    nsqd.create(topic, "c")
    nsqd.publish(topic, b"x")
    with programs.running(tmp_path, "exit_in_handler", nsqd.tcp_address, topic) as program:
        if mode.IS_GEVENT:
            # It ends the program, as in any greenlet.
            assert program.end() == 3, program.output
            assert program.output == "handling 1\n"
        else:
            # It ends a thread, as in any thread: another one handles the message.
            program.expect("handling 2")
            program.interrupt()
            program.end()
    eventually(lambda: nsqd.stats(topic, "c")["depth"] == 1, timeout=20)
