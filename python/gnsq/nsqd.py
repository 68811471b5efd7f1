"""Clients of one nsqd: :class:`NsqdTCPClient`."""

from __future__ import annotations

from ._nsqd_tcp import NsqdTCPClient

__all__ = ["NsqdTCPClient"]
