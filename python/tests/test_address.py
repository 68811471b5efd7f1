"""Hosts and ports, as programs give them."""

from __future__ import annotations

import pytest

import gnsq
from gnsq._address import bare_host, join_host_port


@pytest.mark.parametrize(("host", "joined"), [("a", "a:1"), ("::1", "[::1]:1"), ("[::1]", "[::1]:1")])
def test_an_address_of_ipv6_has_brackets_once(host: str, joined: str) -> None:
    assert join_host_port(host, 1) == joined
    assert join_host_port(bare_host(host), 1) == joined


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_nsqd_is_added_by_an_address_of_ipv6_in_either_form(host: str) -> None:
    consumer = gnsq.Consumer("topic", "channel", "localhost")
    producer = gnsq.Producer("localhost")
    consumer.connect_to_nsqd(host, 4150)
    producer.connect_to_nsqd(host, 4150)
    assert consumer.nsqd_tcp_addresses == producer.nsqd_tcp_addresses == {"localhost:4150", "[::1]:4150"}
