"""What Linux tells of a process that runs."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads, to a hundredth of a second."""
    # The program's name, in parentheses, may have spaces in it; the times are the 12th and 13th field behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_kib(pid: int) -> int:
    """What is resident now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def machine_cpu_seconds() -> float:
    """What all processes of the machine have used since it started."""
    with open("/proc/stat") as stat:
        # user nice system idle iowait irq softirq steal
        numbers = [int(number) for number in stat.readline().split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) / _TICKS


def own_cpu_seconds() -> float:
    """What this process and those that it started and that ended have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
