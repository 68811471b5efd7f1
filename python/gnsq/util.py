"""How programs name the servers they want: one string, or several in a list, set or tuple."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, Union

if TYPE_CHECKING:
    from .httpclient import HTTPConnection
    from .lookupd import LookupdClient

__all__ = ["normalize_nsqd_address", "parse_lookupds", "parse_nsqds"]

#: Where nsqd listens for TCP, unless it is told otherwise.
NSQD_TCP_PORT = 4150

#: Where nsqlookupd listens for HTTP, unless it is told otherwise.
LOOKUPD_HTTP_PORT = 4161

_MAX_PORT = 65535


def normalize_nsqd_address(address: str) -> str:
    """The address as ``"host:port"``, with port 4150 where it has none::

        >>> normalize_nsqd_address("localhost"), normalize_nsqd_address("::1")
        ('localhost:4150', '[::1]:4150')

    :raises TypeError: for what is no str
    :raises ValueError: for a bad host or port
    """
    return _host_and_port(address, NSQD_TCP_PORT)


def parse_nsqds(nsqd_tcp_addresses: str | Iterable[str]) -> set[str]:
    """The addresses of nsqds, each as :func:`normalize_nsqd_address` gives it.

    :raises TypeError: for what is neither a str nor a list, set or tuple of them
    :raises ValueError: for a bad host or port
    """
    return {normalize_nsqd_address(address) for address in _several("nsqd_tcp_addresses", nsqd_tcp_addresses)}


def parse_lookupds(lookupd_http_addresses: Lookupds) -> list[LookupdClient]:
    """A client for each nsqlookupd: named as ``"host"`` (port 4161), ``"host:port"`` or ``"http[s]://host:port"``, or
    clients already.

    :raises TypeError: for what is neither one of them nor a list, set or tuple of them
    :raises ValueError: for a bad host, port or URL
    """
    from .lookupd import LookupdClient

    return clients_of(LookupdClient, lookupd_http_addresses)


def clients_of(kind: type[_Client], lookupd_http_addresses: Any) -> list[_Client]:
    """As :func:`parse_lookupds`, with clients of some kind."""
    if isinstance(lookupd_http_addresses, kind):
        return [lookupd_http_addresses]
    return [_lookupd(kind, address) for address in _several("lookupd_http_addresses", lookupd_http_addresses)]


#: Nsqlookupds, as programs name them.
Lookupds = Union[str, "LookupdClient", Iterable[Union[str, "LookupdClient"]]]

_Client = TypeVar("_Client", bound="HTTPConnection")


def _lookupd(kind: type[_Client], address: Any) -> _Client:
    if isinstance(address, kind):
        return address
    if isinstance(address, str) and address.startswith(("http://", "https://")):
        return kind.from_url(address)
    return kind.from_url(f"http://{_host_and_port(address, LOOKUPD_HTTP_PORT)}")


def _several(name: str, given: Any) -> Iterable[Any]:
    if isinstance(given, str):
        return [given]
    if isinstance(given, (list, set, tuple, frozenset)):
        return given
    raise TypeError(f"{name} must be a str, or a list, set or tuple of them, and is {type(given).__name__}")


def _host_and_port(address: str, default_port: int) -> str:
    if not isinstance(address, str):
        raise TypeError(f"an address must be a str, and {address!r} is {type(address).__name__}")
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (rest and not rest.startswith(":")):
            raise ValueError(f"{address!r} is no address: between brackets there must be one of IPv6")
        return f"[{host}]:{_port(address, rest[1:]) if rest else default_port}"
    if address.count(":") > 1:
        if not _is_ipv6(address):
            raise ValueError(f"{address!r} is no address: it must be 'host', 'host:port' or '[IPv6]:port'")
        return f"[{address}]:{default_port}"
    host, colon, port = address.partition(":")
    if not host or any(character.isspace() or character == "/" for character in host):
        raise ValueError(f"{address!r} is no address: {host!r} is no host")
    return f"{host}:{_port(address, port) if colon else default_port}"


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _port(address: str, port: str) -> int:
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= _MAX_PORT):
        raise ValueError(f"{address!r} is no address: {port!r} is no port")
    return int(port)
