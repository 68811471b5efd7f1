"""The nsqd that something came from, to look at."""

from __future__ import annotations

from ._address import bare_host, join_host_port


class Peer:
    """A connected nsqd: ``str(peer)`` is ``"address:port"``."""

    __slots__ = ("address", "port")

    def __init__(self, host_and_port: str) -> None:
        host, _, port = host_and_port.rpartition(":")
        #: The host, without the brackets of an IPv6 address.
        self.address = bare_host(host)
        self.port = int(port)

    def __str__(self) -> str:
        return join_host_port(self.address, self.port)

    def __repr__(self) -> str:
        return f"<gnsq nsqd {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Peer) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))
