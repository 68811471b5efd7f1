"""Tells receivers of something that has happened, which they can't prevent."""

from __future__ import annotations

import logging
from typing import Any

from ._signal import Signal

_logger = logging.getLogger("gnsq")


def tell(signal: Signal, sender: Any, *, log: logging.Logger = _logger, **kwargs: Any) -> list[Any]:
    """Sends the signal; returns what the receivers have returned. One that raises is logged, and harms neither the
    others nor the sender."""
    if not signal.receivers or signal.is_muted:
        return []
    results = []
    for receiver in list(signal.receivers_for(sender)):
        try:
            results.append(receiver(sender, **kwargs))
        except Exception:
            log.exception("a receiver of a signal of %r failed", sender)
    return results
