"""The options that connections to nsqd take, wherever one is made: their names, defaults and meaning."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from . import _core, _tls
from .version import __version__


@dataclass(frozen=True)
class Options:
    """All connection options, with their defaults."""

    timeout: float = 60.0
    client_id: str | None = None
    hostname: str | None = None
    heartbeat_interval: float = 30
    output_buffer_size: int = 16384
    output_buffer_timeout: int = 250
    tls_v1: bool = False
    tls_options: Mapping[str, Any] | None = None
    snappy: bool = False
    deflate: bool = False
    deflate_level: int = 6
    sample_rate: int = 0
    auth_secret: str | bytes | None = None
    user_agent: str = f"gnsq/{__version__}"
    message_timeout: int | None = None
    compression: str | None = None

    def __post_init__(self) -> None:
        if self.compression not in (None, "", "snappy", "deflate"):
            raise ValueError(f"compression is {self.compression!r}: 'snappy', 'deflate' and None are known")
        if self.compression in ("snappy", "deflate"):
            object.__setattr__(self, self.compression, True)
        if self.snappy and self.deflate:
            raise ValueError("snappy and deflate exclude each other")
        if self.tls_v1:
            # What is wrong with them is told where the client is made.
            _tls.parse(self.tls_options)
        elif self.tls_options:
            logging.getLogger("gnsq").warning("tls_options are not used without tls_v1=True: nothing is encrypted")
        host = self.hostname or socket.gethostname()
        object.__setattr__(self, "hostname", host)
        if self.client_id is None:
            object.__setattr__(self, "client_id", host.split(".", 1)[0])

    def native(self) -> _core.ConnectionOptions:
        """The options as the core takes them.

        :raises ValueError: for a value that can't be used
        """
        secret = self.auth_secret
        return _core.ConnectionOptions(
            user_agent=self.user_agent,
            # 0 and None: as the system does, which is to wait for very long.
            timeout=self.timeout or NO_TIMEOUT,
            client_id=self.client_id,
            hostname=self.hostname,
            heartbeat_interval=self.heartbeat_interval if self.heartbeat_interval > 0 else None,
            output_buffer_size=max(self.output_buffer_size, 0),
            output_buffer_timeout=max(self.output_buffer_timeout, 0) / 1000,
            tls=_tls.parse(self.tls_options) if self.tls_v1 else None,
            snappy=self.snappy,
            deflate_level=self.deflate_level if self.deflate else None,
            sample_rate=self.sample_rate,
            auth_secret=secret.encode() if isinstance(secret, str) else secret,
            msg_timeout=None if self.message_timeout is None else self.message_timeout / 1000,
        )


#: The names of all connection options.
NAMES = frozenset(field.name for field in fields(Options))


def parse(options: Mapping[str, Any]) -> Options:
    """The options that were given by keyword.

    :raises TypeError: for a name that is none
    :raises ValueError: for a value that can't be used
    """
    unknown = options.keys() - NAMES
    if unknown:
        raise TypeError(f"unknown connection option: {', '.join(sorted(unknown))}")
    return Options(**options)


#: Seconds in the stead of no timeout.
NO_TIMEOUT = 365 * 24 * 3600.0
