"""The embedded nsqd and nsqlookupd of `gnsq.testing`, used as the real ones are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gnsq.testing

from .http import HttpSide, NsqdSide
from .real import free_port


class _Embedded(HttpSide):
    server: Any

    @property
    def host(self) -> str:  # type: ignore[override]
        return str(self.server.host)

    @property
    def tcp_port(self) -> int:  # type: ignore[override]
        return int(self.server.tcp_port)

    @property
    def http_port(self) -> int:  # type: ignore[override]
        return int(self.server.http_port)

    def start(self) -> None:
        """Starts it, on the same ports as before, and empty."""
        self.server.start()

    def stop(self) -> None:
        """Ends it. What it holds is gone: it has no disk."""
        self.server.stop()

    def kill(self) -> None:
        """Ends it."""
        self.server.stop()


class EmbeddedNsqd(_Embedded, NsqdSide):
    """The embedded nsqd."""

    def __init__(
        self, _directory: Path, *, host: str = "127.0.0.1", lookupds: Sequence[EmbeddedNsqlookupd] = (), **options: Any
    ) -> None:
        self.server = gnsq.testing.Nsqd(
            host=host,
            tcp_port=free_port(host),
            http_port=free_port(host),
            lookupd=[one.server for one in lookupds],
            **options,
        )


class EmbeddedNsqlookupd(_Embedded):
    """The embedded nsqlookupd."""

    def __init__(self, _directory: Path, *, host: str = "127.0.0.1", **options: Any) -> None:
        self.server = gnsq.testing.Nsqlookupd(host=host, tcp_port=free_port(host), http_port=free_port(host), **options)
