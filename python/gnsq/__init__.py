"""An NSQ client for threads, gevent and asyncio, over a Rust core."""

from . import errors, protocol, states
from .version import __version__

__all__ = ["__version__", "errors", "protocol", "states"]
