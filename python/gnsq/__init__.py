"""An NSQ client for threads, gevent and asyncio, over a Rust core."""

from . import errors, protocol, states
from .backofftimer import BackoffTimer
from .consumer import Consumer
from .lookupd import Lookupd, LookupdClient
from .message import Message
from .nsqd import Nsqd, NsqdHTTPClient, NsqdTCPClient
from .producer import Producer
from .reader import Reader
from .version import __version__

__all__ = [
    "BackoffTimer",
    "Consumer",
    "Lookupd",
    "LookupdClient",
    "Message",
    "Nsqd",
    "NsqdHTTPClient",
    "NsqdTCPClient",
    "Producer",
    "Reader",
    "__version__",
    "errors",
    "protocol",
    "states",
]
