"""The options that connections to nsqd take, wherever one is made: their names, defaults and meaning."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from . import _core
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
            tls=tls(self.tls_options) if self.tls_v1 else None,
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


def tls(options: Mapping[str, Any] | None) -> _core.TlsOptions:
    """TLS as `ssl.wrap_socket` was told, or in words of ours. Without options the server is verified against the
    system's roots.

    :raises TypeError: for an option that is none
    """
    # Not before it is wanted: gevent can't patch what was imported before it.
    import ssl

    given = dict(options or {})
    cert_reqs = given.pop("cert_reqs", None)
    skip = given.pop("insecure_skip_verify", False)
    if cert_reqs == ssl.CERT_OPTIONAL:
        # For a client it is the same as CERT_REQUIRED.
        cert_reqs = ssl.CERT_REQUIRED
    verify = not skip and cert_reqs != ssl.CERT_NONE if cert_reqs is not None else not skip
    native = _core.TlsOptions(
        ca_file=_path(given.pop("ca_certs", None)),
        cert_file=_path(given.pop("certfile", None)),
        key_file=_path(given.pop("keyfile", None)),
        server_hostname=given.pop("server_hostname", None),
        verify=verify,
        min_version=_min_version(given.pop("ssl_version", None)),
    )
    # What `ssl.wrap_socket` takes beside, and has no meaning here.
    for name in ("server_side", "do_handshake_on_connect", "suppress_ragged_eofs"):
        given.pop(name, None)
    if given:
        raise TypeError(f"unknown TLS option: {', '.join(sorted(given))}")
    return native


def _path(path: Any) -> str | None:
    return None if path is None else os.fspath(path)


def _min_version(version: Any) -> str | None:
    """TLS 1.2 and 1.3 are spoken. Names of older versions meant "this or newer" to programs, and so they do here."""
    if version is None:
        return None
    import ssl

    return "1.3" if version == ssl.TLSVersion.TLSv1_3 else None


#: Seconds in the stead of no timeout.
NO_TIMEOUT = 365 * 24 * 3600.0
