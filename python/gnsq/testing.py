"""An nsqd and an nsqlookupd in memory, for the tests of programs: nothing to install, and a start takes a millisecond.

    from gnsq.testing import Nsqd, Nsqlookupd

    with Nsqlookupd() as nsqlookupd, Nsqd(lookupd=nsqlookupd) as nsqd:
        producer = gnsq.Producer(nsqd.tcp_address)
        ...
        assert nsqd.stats()["topics"][0]["message_count"] == 1

They speak the protocols of nsqd and nsqlookupd 1.3.0, over TCP, TLS and HTTP, so every client and tool works with them.
They do their work on the I/O threads of this process, and so under plain threads, gevent and asyncio alike. What they
hold is in memory, and gone when they stop. With pytest, ask for the fixtures ``nsqd`` and ``nsqlookupd``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TypeVar, Union

from . import _core, _modes
from ._address import bare_host, join_host_port
from .errors import NSQException

__all__ = ["Clock", "Nsqd", "Nsqlookupd"]

#: A file, as `open` takes it.
_Path = Union[str, "os.PathLike[str]"]

_Self = TypeVar("_Self", bound="_Server")


class Clock:
    """A clock that stands still until it is moved, for as many servers as are given it.

    Message timeouts, deferred messages, heartbeats and tombstones follow it, so that a test need not wait::

        clock = Clock()
        with Nsqd(clock=clock) as nsqd:
            ...
            clock.advance(60)
    """

    def __init__(self) -> None:
        self._native = _core.ManualClock()

    def advance(self, seconds: float) -> None:
        """Moves it on, and has happen what is due then."""
        self._native.advance(seconds)


class _Server:
    """What both servers have: where they listen, and when."""

    def __init__(self, host: str, ports: dict[str, int], options: dict[str, Any]) -> None:
        self._host = bare_host(host)
        self._ports = ports
        self._options = {name: value for name, value in options.items() if value is not None}
        self._native: Any = None

    @property
    def host(self) -> str:
        """The host that it listens on."""
        return self._host

    @property
    def tcp_port(self) -> int:
        """The port of the TCP protocol. One that was 0 is known after the first start, and stays."""
        return self._port("tcp")

    @property
    def http_port(self) -> int:
        """The port of HTTP. One that was 0 is known after the first start, and stays."""
        return self._port("http")

    @property
    def tcp_address(self) -> str:
        """`"host:port"` of the TCP protocol."""
        return self._address("tcp")

    @property
    def http_address(self) -> str:
        """`"http://host:port"` of HTTP."""
        return f"http://{self._address('http')}"

    @property
    def is_running(self) -> bool:
        """Whether it is started and not stopped."""
        return self._native is not None

    def start(self) -> None:
        """Starts it; it listens when this returns. After a stop: on the same ports, and empty.

        :raises NSQException: if it is running
        :raises NSQSocketError: if it can't listen there
        :raises ValueError: for an option that can't be used
        """
        if self._native is not None:
            raise NSQException(f"{self!r} is running: stop it first")
        options = {f"{name}_address": join_host_port(self._host, port) for name, port in self._ports.items()}
        native = _wait(self._begin({**self._options, **options}))
        for name in self._ports:
            address = getattr(native, f"{name}_address")()
            if address is not None:
                self._ports[name] = int(address.rpartition(":")[2])
        self._native = native

    def stop(self) -> None:
        """Stops it, as a crash would: connections are cut, and everything that it holds is gone. Without effect on one
        that doesn't run."""
        native, self._native = self._native, None
        if native is not None:
            _wait(native.stop())

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _begin(self, options: dict[str, Any]) -> _core.Operation:
        raise NotImplementedError

    def _running(self) -> Any:
        if self._native is None:
            raise NSQException(f"{self!r} is not running: start it first")
        return self._native

    def _port(self, name: str) -> int:
        if name not in self._ports:
            raise NSQException(f"{self!r} offers no {name.upper()}: it has no tls_cert and tls_key")
        port = self._ports[name]
        if not port:
            raise NSQException(f"{self!r} has no port yet: start it first")
        return port

    def _address(self, name: str) -> str:
        return join_host_port(self._host, self._port(name))

    def __repr__(self) -> str:
        ports = " ".join(f"{name}={join_host_port(self._host, port)}" for name, port in self._ports.items() if port)
        state = "running" if self._native is not None else "stopped"
        return f"<{type(self).__name__} {state}{' ' if ports else ''}{ports}>"


class Nsqlookupd(_Server):
    """An nsqlookupd in memory: a context manager, or `start` and `stop`.

    Options are nsqlookupd's flags; times are in seconds, None is nsqlookupd's default, and a port 0 a free one.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        tcp_port: int = 0,
        http_port: int = 0,
        broadcast_address: str | None = None,
        hostname: str | None = None,
        inactive_producer_timeout: float | None = None,
        tombstone_lifetime: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        options = {
            "broadcast_address": broadcast_address or _reachable(host),
            "hostname": hostname,
            "inactive_producer_timeout": inactive_producer_timeout,
            "tombstone_lifetime": tombstone_lifetime,
            "clock": clock._native if clock is not None else None,
        }
        super().__init__(host, {"tcp": tcp_port, "http": http_port}, options)

    def registrations(self) -> dict[str, tuple[list[str], list[str]]]:
        """Of each topic its channels, and the `"host:port"` of the nsqds that have it, as clients would be told now."""
        registrations: dict[str, tuple[list[str], list[str]]] = self._running().registrations()
        return registrations

    def _begin(self, options: dict[str, Any]) -> _core.Operation:
        return _core.NsqlookupdServer.start(options)


class Nsqd(_Server):
    """An nsqd in memory: a context manager, or `start` and `stop`.

    Options are nsqd's flags, with `lookupd` for `--lookupd-tcp-address`: an :class:`Nsqlookupd`, the `"host:port"` of
    one's TCP protocol, or several. Times are in seconds, None is nsqd's default, and a port 0 a free one.

    With `tls_cert` and `tls_key` (PEM files) it offers TLS, and HTTPS at `https_address`. `tls_required` is True, False
    or `"tcp-https"`. With `statsd_address` (`"host:port"`) it sends its statistics there over UDP, whenever its
    `clock` says so. What nsqd would write to its disk is refused beyond `max_messages` and `max_bytes`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        tcp_port: int = 0,
        http_port: int = 0,
        https_port: int = 0,
        lookupd: Nsqlookupd | str | Iterable[Nsqlookupd | str] = (),
        broadcast_address: str | None = None,
        hostname: str | None = None,
        node_id: int | None = None,
        max_msg_size: int | None = None,
        max_body_size: int | None = None,
        max_rdy_count: int | None = None,
        msg_timeout: float | None = None,
        max_msg_timeout: float | None = None,
        max_req_timeout: float | None = None,
        client_timeout: float | None = None,
        max_heartbeat_interval: float | None = None,
        max_output_buffer_size: int | None = None,
        max_output_buffer_timeout: float | None = None,
        max_channel_consumers: int | None = None,
        mem_queue_size: int | None = None,
        deflate: bool | None = None,
        max_deflate_level: int | None = None,
        snappy: bool | None = None,
        tls_cert: _Path | None = None,
        tls_key: _Path | None = None,
        tls_root_ca_file: _Path | None = None,
        tls_client_auth_policy: str | None = None,
        tls_required: bool | str | None = None,
        tls_min_version: str | None = None,
        auth_http_address: str | Iterable[str] = (),
        statsd_address: str | None = None,
        statsd_prefix: str | None = None,
        statsd_interval: float | None = None,
        statsd_mem_stats: bool | None = None,
        statsd_udp_packet_size: int | None = None,
        statsd_exclude_ephemeral: bool | None = None,
        max_messages: int | None = None,
        max_bytes: int | None = None,
        max_connections: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        options = {
            "broadcast_address": broadcast_address or _reachable(host),
            "hostname": hostname,
            "node_id": node_id,
            "max_msg_size": max_msg_size,
            "max_body_size": max_body_size,
            "max_rdy_count": max_rdy_count,
            "msg_timeout": msg_timeout,
            "max_msg_timeout": max_msg_timeout,
            "max_req_timeout": max_req_timeout,
            "client_timeout": client_timeout,
            "max_heartbeat_interval": max_heartbeat_interval,
            "max_output_buffer_size": max_output_buffer_size,
            "max_output_buffer_timeout": max_output_buffer_timeout,
            "max_channel_consumers": max_channel_consumers,
            "mem_queue_size": mem_queue_size,
            "deflate": deflate,
            "max_deflate_level": max_deflate_level,
            "snappy": snappy,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "tls_root_ca_file": tls_root_ca_file,
            "tls_client_auth_policy": tls_client_auth_policy,
            "tls_required": str(tls_required).lower() if isinstance(tls_required, bool) else tls_required,
            "tls_min_version": tls_min_version,
            "auth_http_addresses": [auth_http_address] if isinstance(auth_http_address, str) else [*auth_http_address],
            "statsd_address": statsd_address,
            "statsd_prefix": statsd_prefix,
            "statsd_interval": statsd_interval,
            "statsd_mem_stats": statsd_mem_stats,
            "statsd_udp_packet_size": statsd_udp_packet_size,
            "statsd_exclude_ephemeral": statsd_exclude_ephemeral,
            "max_messages": max_messages,
            "max_bytes": max_bytes,
            "max_connections": max_connections,
            "clock": clock._native if clock is not None else None,
        }
        ports = {"tcp": tcp_port, "http": http_port}
        if tls_cert is not None:
            ports["https"] = https_port
        super().__init__(host, ports, options)
        self._lookupd = [lookupd] if isinstance(lookupd, (str, Nsqlookupd)) else [*lookupd]

    @property
    def https_port(self) -> int:
        """The port of HTTPS, with `tls_cert`."""
        return self._port("https")

    @property
    def https_address(self) -> str:
        """`"https://host:port"` of HTTPS, with `tls_cert`."""
        return f"https://{self._address('https')}"

    def stats(self) -> dict[str, Any]:
        """What `GET /stats?format=json` tells. A publish that was confirmed is in it."""
        stats: dict[str, Any] = json.loads(self._running().stats())
        return stats

    def _begin(self, options: dict[str, Any]) -> _core.Operation:
        lookupds = [lookupd if isinstance(lookupd, str) else lookupd.tcp_address for lookupd in self._lookupd]
        return _core.NsqdServer.start({**options, "lookupd_tcp_addresses": lookupds})


def _wait(operation: _core.Operation) -> Any:
    _modes.current().wait(operation)
    return operation.result()


def _reachable(host: str) -> str:
    """The host at which a server that listens there can be reached."""
    bare = bare_host(host)
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(bare, bare)  # noqa: S104 - it is replaced
