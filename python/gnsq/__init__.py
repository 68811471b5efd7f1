"""An NSQ client for threads, gevent and asyncio, over a Rust core."""

from . import errors, protocol, states
from .consumer import Consumer
from .nsqd import NsqdTCPClient
from .producer import Producer
from .version import __version__

__all__ = ["Consumer", "NsqdTCPClient", "Producer", "__version__", "errors", "protocol", "states"]
