"""An NSQ client for threads, gevent and asyncio, over a Rust core."""

from .version import __version__

__all__ = ["__version__"]
