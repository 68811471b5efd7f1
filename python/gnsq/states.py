"""The states of a connection, and of a consumer's hold on it."""

from __future__ import annotations

__all__ = ["BACKOFF", "CLOSED", "CONNECTED", "DISCONNECTED", "INIT", "RUNNING", "THROTTLED"]

#: Made, and not connected yet.
INIT = 0

#: Connected to nsqd.
CONNECTED = 1

#: The connection was lost or has been closed.
DISCONNECTED = 2

#: Messages come as fast as they are handled.
RUNNING = 3

#: After a failure: no messages come until the interval is over.
BACKOFF = 4

#: After a backoff: one message at a time, to see whether handling goes well again.
THROTTLED = 5

#: Closed for good.
CLOSED = 6
