"""The types of the package are complete, and agree with a program that uses everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.modes("threads")


def test_a_program_that_uses_everything_is_typed() -> None:
    program = Path(__file__).parent / "typing" / "everything.py"
    # Elsewhere than the source, so that it's the installed package that is checked.
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "/dev/null", str(program)]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
