"""What is measured now, for who looks on."""

from __future__ import annotations

import sys


def show(text: str = "") -> None:
    """On a terminal, what is being done, each in the place of the one before."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)
