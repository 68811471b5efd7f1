"""The tests' own servers and ways to wait."""

from __future__ import annotations

import sys
from typing import Any, Callable

import pytest
from support import mode
from support.servers import Nsqd, Nsqlookupd


def test_an_nsqd_keeps_its_ports_over_a_restart(nsqd: Nsqd, topic: str, eventually: Callable[..., Any]) -> None:
    nsqd.create(topic, "c")
    nsqd.publish(topic, b"one", b"two")
    eventually(lambda: nsqd.stats(topic, "c")["depth"] == 2)
    address = nsqd.tcp_address
    nsqd.stop()
    with pytest.raises(OSError):
        nsqd.request("/ping")
    nsqd.start()
    assert nsqd.request("/ping") == b"OK"
    assert nsqd.tcp_address == address


def test_an_nsqd_registers_with_its_nsqlookupd(
    nsqlookupd: Nsqlookupd, make_nsqd: Callable[..., Nsqd], topic: str, eventually: Callable[..., Any]
) -> None:
    nsqd = make_nsqd(lookupds=[nsqlookupd])
    nsqd.create(topic)
    producers = eventually(lambda: nsqlookupd.request(f"/lookup?topic={topic}")["producers"])
    assert [(one["broadcast_address"], one["tcp_port"]) for one in producers] == [(nsqd.host, nsqd.tcp_port)]


def test_what_is_spawned_runs_beside_the_test(spawn: Callable[..., Any], eventually: Callable[..., Any]) -> None:
    seen: list[int] = []
    worker = spawn(seen.append, 1)
    eventually(lambda: seen)
    assert worker.join(10)
    with pytest.raises(ZeroDivisionError):
        spawn(lambda: 1 // 0).result()


def test_gevent_is_imported_where_the_mode_says_so() -> None:
    assert ("gevent.hub" in sys.modules) == mode.IS_GEVENT
    if mode.IS_GEVENT:
        from gevent import monkey

        assert monkey.is_module_patched("socket") == (mode.NAME == "patched")
