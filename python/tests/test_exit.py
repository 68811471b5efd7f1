"""The interpreter exits while clients run: it neither hangs nor crashes, and nsqd has back what was held."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from support import mode, programs
from support.servers import Nsqd

pytestmark = pytest.mark.modes("threads", "gevent", "patched")

MESSAGES = 50


def run_to_its_end(directory: Path, how: str, nsqd: Nsqd, topic: str) -> programs.Program:
    """Runs the program on some messages, until it has ended."""
    nsqd.create(topic, "c")
    nsqd.publish(topic, *[b"%d" % number for number in range(MESSAGES)])
    with programs.running(directory, "exits", how, nsqd.tcp_address, topic) as program:
        program.expect("ending")
        program.status = program.end()  # type: ignore[attr-defined]
        return program


def assert_given_back(nsqd: Nsqd, topic: str, eventually: Callable[..., Any]) -> None:
    """nsqd's own timeout is a minute away."""

    def is_back() -> bool:
        stats = nsqd.stats(topic, "c")
        return not stats["clients"] and stats["in_flight_count"] == 0 and stats["deferred_count"] == 0

    eventually(is_back, timeout=20)


HANDLERS = ["sleeping", "async", "working"]
if not mode.IS_GEVENT:
    # Under gevent these would block the hub, and with it the program that wants to end.
    HANDLERS += ["waiting", "computing"]


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize(("end", "status"), [("return", 0), ("exit", 7), ("raise", 1), ("close", 0), ("thread", 0)])
def test_a_program_ends_with_a_consumer_that_runs(
    tmp_path: Path, nsqd: Nsqd, topic: str, eventually: Callable[..., Any], handler: str, end: str, status: int
) -> None:
    if mode.NAME == "gevent" and end == "thread":
        # The hub of that thread has its own greenlets.
        pass
    program = run_to_its_end(tmp_path, f"{handler}-{end}", nsqd, topic)
    assert program.status == status, program.output  # type: ignore[attr-defined]
    errors = program.output.replace("ending\n", "")
    if end == "raise":
        assert errors.endswith("ValueError: the end\n")
        assert errors.count("Traceback") == 1
    else:
        assert errors == ""
    assert_given_back(nsqd, topic, eventually)
    if handler != "working":
        assert nsqd.stats(topic, "c")["depth"] == MESSAGES
