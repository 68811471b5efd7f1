"""The clients for asyncio, by the names that they have elsewhere: what waits there is awaited here.

Connections and everything that is done beside the program are those of :mod:`gnsq`, in its I/O threads: a loop that is
busy holds up no heartbeat. Each loop watches one file descriptor for all its clients, and starts no thread. Any loop
will do that can watch a file descriptor, as those of asyncio (on Linux and macOS) and uvloop can.
"""

from __future__ import annotations

from ._consumer import Consumer
from ._lookupd import LookupdClient
from ._nsqd_http import NsqdHTTPClient
from ._nsqd_tcp import NsqdTCPClient
from ._producer import Producer

__all__ = ["Consumer", "LookupdClient", "NsqdHTTPClient", "NsqdTCPClient", "Producer"]

for _client in (Consumer, LookupdClient, NsqdHTTPClient, NsqdTCPClient, Producer):
    # Where programs find them, and what they show.
    _client.__module__ = __name__
