"""The Python blocks of a page of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]

#: All pages of the Python package.
PAGES = [*sorted((ROOT / "docs" / "python").glob("*.md")), ROOT / "python" / "README.md"]

_BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>[^>\n]+) -->\n+)?```python\n(?P<code>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    #: Of the page, where its fence is.
    line: int
    code: str
    #: Why it isn't run.
    reason: str | None


def all_blocks(page: Path) -> list[Block]:
    """Also those that are not run."""
    text = page.read_text()
    return [
        Block(text.count("\n", 0, found.start("code")), found["code"], found["reason"])
        for found in _BLOCK.finditer(text)
    ]


def blocks(page: Path) -> Iterator[Block]:
    """Those that are run."""
    return (block for block in all_blocks(page) if block.reason is None)
