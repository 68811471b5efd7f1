"""The mode of this run: GNSQ_TEST_MODE is threads, gevent, patched (all of the standard library) or asyncio."""

from __future__ import annotations

import os

NAME = os.environ.get("GNSQ_TEST_MODE", "threads")

#: Whether tests run in a greenlet, beside gevent's hub.
IS_GEVENT = NAME in ("gevent", "patched")

NAMES = ("threads", "gevent", "patched", "asyncio")


def begin() -> None:
    """Makes this process as the mode wants it, before anything else is imported."""
    if NAME not in NAMES:
        raise ValueError(f"GNSQ_TEST_MODE is {NAME!r}: {', '.join(NAMES)} are known")
    if NAME == "gevent":
        # To be imported is all it takes.
        import gevent.hub  # noqa: F401
    if NAME == "patched":
        from gevent import monkey

        monkey.patch_all()
