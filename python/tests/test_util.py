"""`gnsq.util`: how programs name their servers."""

from __future__ import annotations

from typing import Any

import pytest

from gnsq.lookupd import LookupdClient
from gnsq.util import normalize_nsqd_address, parse_lookupds, parse_nsqds


@pytest.mark.parametrize(
    ("address", "normalized"),
    [
        ("localhost", "localhost:4150"),
        ("localhost:4150", "localhost:4150"),
        ("nsq-1.example.com:65535", "nsq-1.example.com:65535"),
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("h:04150", "h:4150"),
        ("[::1]:4250", "[::1]:4250"),
        ("[::1]", "[::1]:4150"),
        ("::1", "[::1]:4150"),
        ("[fe80::1%eth0]:4150", "[fe80::1%eth0]:4150"),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str, normalized: str) -> None:
    assert normalize_nsqd_address(address) == normalized
    assert normalize_nsqd_address(normalized) == normalized


@pytest.mark.parametrize(
    "address",
    [
        *("", ":4150", "h h:1", "http://h:4150", "h/path", "h:1:2"),
        *("h:", "h:0", "h:65536", "h:-1", "h:+1", "h:x", "h:1.0", "h:²"),
        *("[::1", "[::1]4150", "[h]:4150", "[]:4150"),
    ],
)
def test_a_bad_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        normalize_nsqd_address(address)
    with pytest.raises(ValueError, match="is no address"):
        parse_nsqds(["localhost", address])


@pytest.mark.parametrize("address", [None, 4150, b"localhost", ("localhost", 4150)])
def test_an_address_of_another_type_is_refused(address: Any) -> None:
    with pytest.raises(TypeError):
        normalize_nsqd_address(address)
    with pytest.raises(TypeError):
        parse_nsqds([address])


@pytest.mark.parametrize("several", [list, set, tuple, frozenset])
def test_nsqds_are_given_as_several_or_one(several: Any) -> None:
    assert parse_nsqds(several(["a", "a:4150", "b:1"])) == {"a:4150", "b:1"}
    assert parse_nsqds("a") == {"a:4150"}
    assert parse_nsqds(several()) == set()


@pytest.mark.parametrize("several", [None, 4150, b"localhost", {"localhost": 4150}, iter(["localhost"])])
def test_nsqds_of_another_type_are_refused(several: Any) -> None:
    with pytest.raises(TypeError, match="nsqd_tcp_addresses"):
        parse_nsqds(several)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("a", "http://a:4161/"),
        ("a:1", "http://a:1/"),
        ("[::1]:1", "http://[::1]:1/"),
        ("::1", "http://[::1]:4161/"),
        ("http://a:1", "http://a:1/"),
        ("http://a:1/", "http://a:1/"),
        ("https://a:1", "https://a:1/"),
    ],
)
def test_a_lookupd_is_a_host_and_a_port_or_a_url(given: str, address: str) -> None:
    (lookupd,) = parse_lookupds(given)
    assert type(lookupd) is LookupdClient
    assert lookupd.address == address


@pytest.mark.parametrize("several", [list, set, tuple, frozenset])
def test_lookupds_are_given_as_several_or_one(several: Any) -> None:
    client = LookupdClient("c", 3)
    lookupds = parse_lookupds(several(["a:1", client]))
    assert sorted(lookupd.address for lookupd in lookupds) == ["http://a:1/", "http://c:3/"]
    assert client in lookupds
    assert parse_lookupds(client) == [client]
    assert parse_lookupds(several()) == []


def test_lookupds_keep_their_order() -> None:
    assert [lookupd.host for lookupd in parse_lookupds(["b", "a", "c"])] == ["b", "a", "c"]


@pytest.mark.parametrize("lookupd", ["", "a:x", "a:0", "http://", "ftp://a:1", "http://user:secret@a:1"])
def test_a_bad_lookupd_is_refused(lookupd: str) -> None:
    with pytest.raises(ValueError, match=r"address|URL"):
        parse_lookupds([lookupd])


@pytest.mark.parametrize("several", [None, 4161, b"localhost", {"localhost": 4161}, [4161], [None]])
def test_lookupds_of_another_type_are_refused(several: Any) -> None:
    with pytest.raises(TypeError):
        parse_lookupds(several)
