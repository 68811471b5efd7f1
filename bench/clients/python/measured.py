"""What every client's program shares: its command line, and what is measured of its process.

`CLIENT.py WORK COUNT HOST:PORT --NAME VALUE…` does the work with COUNT messages (for `idle`: connects COUNT consumers)
and prints one line of JSON: `seconds` on the clock, `cpu` seconds of all its threads in that time, `peak_kib` of
resident memory, the number of `threads`, and how many messages it published to `warm_up`.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections.abc import Mapping
from typing import Callable

TOPIC = "bench"
CHANNEL = "bench"
MAX_IN_FLIGHT = 2500
BODY = b"x" * 200
#: How many publish at once, where many do.
PUBLISHERS = 100
#: How many messages one multipublish has.
BATCH = 200
#: For how many seconds idle consumers are watched, once they have had as many as SETTLING to connect.
IDLING = 10.0
SETTLING = 3.0
#: For how many seconds a consumer stays when all is measured, so that nsqd has its last answers.
PARTING = 0.3


class Clock:
    """Time and CPU between `start` and `stop`."""

    def __init__(self) -> None:
        self.seconds = self.cpu = 0.0
        self.threads = 0

    def start(self) -> None:
        """Begins."""
        self.seconds, self.cpu = time.perf_counter(), _cpu()

    def stop(self) -> None:
        """Ends; threads are counted while all of them are there."""
        self.seconds, self.cpu = time.perf_counter() - self.seconds, _cpu() - self.cpu
        self.threads = int(_status("Threads", threading.active_count()))


Work = Callable[[Clock, str, int], None]


def main(works: Mapping[str, Work]) -> None:
    """Does what the command line says."""
    if len(sys.argv) < 4 or len(sys.argv) % 2:
        sys.exit(f"usage: {sys.argv[0]} WORK COUNT HOST:PORT [--NAME VALUE]...")
    work, count, address = sys.argv[1:4]
    check_options(dict(zip(sys.argv[4::2], sys.argv[5::2])))
    published = work not in {"consume", "idle"}
    if work == "publish":
        work = "publish-each" if sys.argv[sys.argv.index("--outstanding") + 1] == "1" else "publish-many"
    clock = Clock()
    works[work](clock, address, int(count))
    # Of this program only: what getrusage tells as the peak may be that of the process that started it.
    peak = _status("VmHWM", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    figures = {"seconds": clock.seconds, "cpu": clock.cpu, "peak_kib": peak, "threads": clock.threads}
    # Each publishes one message before the clock is started, to be connected.
    print(json.dumps(figures | {"warm_up": int(published)}), flush=True)


def check_options(options: Mapping[str, str]) -> None:
    """These programs do one thing with each option: another value would be measured as if it were this one."""
    can = {
        "--body": {str(len(BODY))},
        "--max-in-flight": {str(MAX_IN_FLIGHT)},
        "--outstanding": {"1", str(PUBLISHERS)},
        "--batch": {str(BATCH)},
    }
    for name, value in options.items():
        if value not in can.get(name, ()):
            sys.exit(f"{name} {value} is not what this program can do")


def check(size: int, count: int) -> None:
    """All bodies were there."""
    if size != count * len(BODY):
        sys.exit(f"{count} messages had {size} bytes, not {len(BODY)} each")


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _status(name: str, otherwise: float) -> float:
    """A number that Linux tells of this process."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(name + ":"):
                    return float(line.split()[1])
    except OSError:
        pass
    return otherwise
