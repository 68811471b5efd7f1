"""An NSQ client for threads, gevent and asyncio, over a Rust core."""

from . import errors, protocol, states
from .nsqd import Nsqd, NsqdHTTPClient, NsqdTCPClient
from .version import __version__

__all__ = ["Nsqd", "NsqdHTTPClient", "NsqdTCPClient", "__version__", "errors", "protocol", "states"]
