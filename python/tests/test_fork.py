"""After a fork a child uses clients of its own, and its parent's are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import programs
from support.servers import Nsqd

pytestmark = pytest.mark.modes("threads", "gevent", "patched")


@pytest.mark.parametrize("how", ["before", "after", "while_busy", "grandchild"])
def test_a_child_of_a_fork_uses_clients_of_its_own(tmp_path: Path, nsqd: Nsqd, topic: str, how: str) -> None:
    with programs.running(tmp_path, "forks", how, nsqd.tcp_address, topic) as program:
        assert program.end(timeout=90) == 0, program.output
        assert program.output == "done\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_publish(tmp_path: Path, nsqd: Nsqd, topic: str, method: str) -> None:
    with programs.running(tmp_path, "processes", method, nsqd.tcp_address, topic) as program:
        assert program.end(timeout=90) == 0, program.output
        assert program.output == "done\n"
    assert nsqd.stats(topic)["message_count"] == 32
