"""On what it is measured, and who else uses it meanwhile."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from . import places, process


class Surroundings:
    """Begun before a suite; `told` after it."""

    def __init__(self, rounds: int, seconds: float) -> None:
        self._before: dict[str, Any] = {
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "versions": _versions(),
            "rounds": rounds,
            "seconds_a_run": seconds,
            "load_before": round(os.getloadavg()[0], 2),
        }
        self._began = time.monotonic()
        self._cpu = process.machine_cpu_seconds(), process.own_cpu_seconds()
        self._loads: list[float] = []

    def sample(self) -> None:
        """Notes the load, now and then."""
        self._loads.append(os.getloadavg()[0])

    def told(self) -> dict[str, Any]:
        """All of it."""
        self.sample()
        seconds = time.monotonic() - self._began
        machine = process.machine_cpu_seconds() - self._cpu[0]
        own = process.own_cpu_seconds() - self._cpu[1]
        return self._before | {
            "took_seconds": round(seconds),
            "load_during": round(sum(self._loads) / len(self._loads), 2),
            # Of all cores together: what neither the driver nor its servers and clients used.
            "used_by_others": round(max(0.0, machine - own) / (seconds * (os.cpu_count() or 1)), 3),
        }


def _cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor()


def _versions() -> dict[str, str]:
    return {
        "nsqd": _first_line(str(places.nsqd()), "--version"),
        "rustc": _first_line("rustc", "--version"),
        "go": _first_line("go", "version"),
        "node": _first_line("node", "--version"),
        "python": platform.python_version(),
        "gnsq": _first_line("git", "-C", str(places.CHECKOUT), "describe", "--always", "--dirty"),
    }


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        return "none"
    return done.stdout.partition("\n")[0].strip()
