"""Hosts and ports, as one text and apart: an address of IPv6 has colons of its own, and brackets around them."""

from __future__ import annotations


def bare_host(host: str) -> str:
    """The host without the brackets of an IPv6 address."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def join_host_port(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets, which it may have already."""
    host = bare_host(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
