"""An NSQ client for threads, gevent and asyncio, over a Rust core."""

from . import errors, protocol, states
from .lookupd import Lookupd, LookupdClient
from .nsqd import NsqdTCPClient
from .version import __version__

__all__ = ["Lookupd", "LookupdClient", "NsqdTCPClient", "__version__", "errors", "protocol", "states"]
