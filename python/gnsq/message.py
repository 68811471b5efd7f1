"""Messages that were received, each to be answered once."""

from __future__ import annotations

from ._core import Message

__all__ = ["Message"]
