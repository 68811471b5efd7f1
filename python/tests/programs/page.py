"""Runs the Python blocks of a page, in order, in one namespace: `page.py PAGE OLD=NEW…`, with what is replaced in them.

A blocking `start` of a consumer ends when its channel is empty, as nsqd at GNSQ_TEST_HTTP tells. A block that has tests
is given to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from support.pages import blocks

PATIENCE = 30.0


def _depth(topic: str, channel: str) -> int:
    """How many messages the channel has that were not finished; 1 where there is no channel yet."""
    import gnsq

    nsqd = gnsq.NsqdHTTPClient.from_url(os.environ["GNSQ_TEST_HTTP"])
    for found in nsqd.stats(topic, channel)["topics"]:
        for one in found["channels"]:
            return int(one["depth"] + one["in_flight_count"] + one["deferred_count"])
    return 1


def _end_what_blocks() -> None:
    import gnsq

    start = gnsq.Consumer.start

    def start_for_a_while(self: gnsq.Consumer, block: bool = True) -> None:
        start(self, block=False)
        if block:
            deadline = time.monotonic() + PATIENCE
            while self.is_running and _depth(self.topic, self.channel) and time.monotonic() < deadline:
                self.join(timeout=0.05)
            if time.monotonic() >= deadline:
                raise AssertionError(f"{self!r} still has messages after {PATIENCE} s")
            self.close()
            self.join()

    gnsq.Consumer.start = start_for_a_while  # type: ignore[method-assign]


def _end_what_blocks_in_loops() -> None:
    from gnsq import asyncio as gnsq_asyncio

    start = gnsq_asyncio.Consumer.start

    async def start_for_a_while(self: Any, block: bool = True) -> None:
        await start(self, block=False)
        if block:
            deadline = time.monotonic() + PATIENCE
            while self.is_running and _depth(self.topic, self.channel) and time.monotonic() < deadline:
                await self.join(timeout=0.05)
            if time.monotonic() >= deadline:
                raise AssertionError(f"{self!r} still has messages after {PATIENCE} s")
            await self.close()

    gnsq_asyncio.Consumer.start = start_for_a_while  # type: ignore[method-assign]


def _run_tests(code: str, line: int) -> None:
    path = Path(f"test_line_{line}.py")
    path.write_text(code)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:anyio", "-p", "no:cacheprovider", path], check=True)


def main() -> None:
    """Runs one page."""
    page, *replaced = sys.argv[1:]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    is_patched = False
    for block in blocks(Path(page)):
        code = block.code
        for pair in replaced:
            old, _, new = pair.partition("=")
            code = code.replace(old, new)
        if not is_patched and "monkey.patch_all" not in code:
            is_patched = True
            _end_what_blocks()
            if "gnsq.asyncio" in Path(page).read_text():
                _end_what_blocks_in_loops()
        print(f"--- {page}:{block.line}", flush=True)
        if "def test_" in code:
            _run_tests(code, block.line)
        else:
            # Its lines have the numbers that they have in the page.
            exec(compile("\n" * block.line + code, page, "exec"), namespace)


main()
