"""The servers that programs are given for their own tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable

import pytest
import trustme

from gnsq import _core, errors
from gnsq.testing import Clock, Nsqd, Nsqlookupd


def ask(address: str, path: str, body: bytes | None = None, **kwargs: Any) -> bytes:
    with urllib.request.urlopen(f"{address}{path}", data=body, timeout=30, **kwargs) as answer:
        return bytes(answer.read())


def test_a_server_listens_inside_of_the_block_and_not_outside() -> None:
    with Nsqd() as nsqd, Nsqlookupd() as nsqlookupd:
        for server in (nsqd, nsqlookupd):
            assert server.is_running
            assert ask(server.http_address, "/ping") == b"OK"
            assert server.http_address == f"http://127.0.0.1:{server.http_port}"
            assert server.tcp_address == f"127.0.0.1:{server.tcp_port}"
            assert server.host == "127.0.0.1"
            socket.create_connection((server.host, server.tcp_port), 30).close()
    for server in (nsqd, nsqlookupd):
        assert not server.is_running
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((server.host, server.tcp_port), 30)


def test_the_stats_are_those_of_http() -> None:
    with Nsqd() as nsqd:
        ask(nsqd.http_address, "/pub?topic=orders", b"tea")
        stats = nsqd.stats()
        assert [topic["message_count"] for topic in stats["topics"]] == [1]
        assert stats == json.loads(ask(nsqd.http_address, "/stats?format=json"))


def test_a_restarted_server_has_its_ports_and_nothing_else(topic: str) -> None:
    with Nsqlookupd() as nsqlookupd, Nsqd(lookupd=nsqlookupd) as nsqd:
        for server in (nsqd, nsqlookupd):
            ask(server.http_address, f"/topic/create?topic={topic}", b"")
            ports = server.tcp_port, server.http_port
            server.stop()
            assert (server.tcp_port, server.http_port) == ports
            server.start()
            assert (server.tcp_port, server.http_port) == ports
        assert nsqd.stats()["topics"] == []
        assert nsqlookupd.registrations() == {}


def test_an_nsqd_registers_at_its_nsqlookupds(topic: str, eventually: Callable[..., object]) -> None:
    with Nsqlookupd() as first, Nsqlookupd() as second:
        choices: list[Any] = [first, first.tcp_address, [first, second.tcp_address]]
        for lookupd in choices:
            with Nsqd(lookupd=lookupd) as nsqd:
                ask(nsqd.http_address, f"/topic/create?topic={topic}", b"")
                ask(nsqd.http_address, f"/channel/create?topic={topic}&channel=c", b"")
                eventually(lambda: first.registrations() == {topic: (["c"], [nsqd.tcp_address])})
        eventually(lambda: topic in second.registrations())


def test_a_clock_lets_time_pass_at_once(topic: str, eventually: Callable[..., object]) -> None:
    clock = Clock()
    with Nsqd(clock=clock) as nsqd:
        ask(nsqd.http_address, f"/topic/create?topic={topic}", b"")
        ask(nsqd.http_address, f"/channel/create?topic={topic}&channel=c", b"")
        ask(nsqd.http_address, f"/pub?topic={topic}&defer=3600000", b"tea")

        def deferred_and_ready() -> tuple[int, int]:
            channel = nsqd.stats()["topics"][0]["channels"][0]
            return channel["deferred_count"], channel["depth"]

        assert deferred_and_ready() == (1, 0)
        clock.advance(3600)
        eventually(lambda: deferred_and_ready() == (0, 1))


def test_options_are_nsqds_flags(topic: str) -> None:
    with Nsqd(max_msg_size=3, max_req_timeout=1, hostname="here", broadcast_address="there") as nsqd:
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(nsqd.http_address, f"/pub?topic={topic}", b"long")
        assert json.loads(refused.value.read()) == {"message": "MSG_TOO_BIG"}
        with pytest.raises(urllib.error.HTTPError):
            ask(nsqd.http_address, f"/pub?topic={topic}&defer=1001", b"tea")
        info = json.loads(ask(nsqd.http_address, "/info"))
        assert (info["hostname"], info["broadcast_address"]) == ("here", "there")


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"msg_timeout": -1}, ValueError, "msg_timeout"),
        ({"msg_timeout": "1s"}, TypeError, "msg_timeout"),
        ({"max_rdy_count": -1}, ValueError, "max_rdy_count"),
        ({"node_id": 1024}, ValueError, "node_id"),
        ({"tls_cert": "/none.pem"}, ValueError, "tls_key"),
        ({"tls_cert": "/none.pem", "tls_key": "/none.pem"}, ValueError, "/none.pem"),
        ({"tls_required": True}, ValueError, "tls_cert"),
        ({"tls_client_auth_policy": "maybe"}, ValueError, "require-verify"),
        ({"tls_min_version": "ssl3"}, ValueError, "tls1.2"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: dict[str, Any], error: type[Exception], named: str) -> None:
    nsqd = Nsqd(**options)
    with pytest.raises(error, match=named):
        nsqd.start()
    assert not nsqd.is_running


def test_a_taken_port_is_told() -> None:
    with Nsqd() as nsqd, pytest.raises(errors.NSQSocketError, match=nsqd.tcp_address) as taken:
        Nsqd(tcp_port=nsqd.tcp_port).start()
    assert isinstance(taken.value, OSError)
    assert "in use" in os.strerror(taken.value.errno or 0)


def test_what_is_not_running_says_so() -> None:
    nsqd = Nsqd()
    assert repr(nsqd) == "<Nsqd stopped>"
    for use in (lambda: nsqd.tcp_address, nsqd.stats):
        with pytest.raises(errors.NSQException, match="start it first"):
            use()
    with pytest.raises(errors.NSQException, match="HTTPS"):
        _ = nsqd.https_address
    nsqd.stop()
    with nsqd:
        assert repr(nsqd) == f"<Nsqd running tcp={nsqd.tcp_address} http={nsqd.http_address[7:]}>"
        with pytest.raises(errors.NSQException, match="stop it first"):
            nsqd.start()
    assert "stopped" in repr(nsqd)


def test_it_listens_on_ipv6() -> None:
    with Nsqlookupd(host="::1") as nsqlookupd, Nsqd(host="[::1]", lookupd=nsqlookupd) as nsqd:
        assert nsqd.host == "::1"
        assert nsqd.tcp_address == f"[::1]:{nsqd.tcp_port}"
        assert ask(nsqd.http_address, "/ping") == b"OK"
        assert json.loads(ask(nsqd.http_address, "/info"))["broadcast_address"] == "::1"


def test_it_sends_its_statistics_to_a_statsd() -> None:
    clock = Clock()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(30)
        options: dict[str, Any] = {
            "statsd_address": f"127.0.0.1:{statsd.getsockname()[1]}",
            "statsd_prefix": "tests",
            "statsd_interval": 10,
            "statsd_mem_stats": False,
            "statsd_udp_packet_size": 100,
            "statsd_exclude_ephemeral": True,
        }
        with Nsqd(clock=clock, **options) as nsqd:
            for topic in ("orders", "orders%23ephemeral"):
                ask(nsqd.http_address, f"/pub?topic={topic}", b"tea")
            clock.advance(10)
            lines: list[str] = []
            while not any("tests.topic.orders.depth" in line for line in lines):
                packet = statsd.recv(4096)
                assert len(packet) <= 100
                lines += packet.decode().splitlines()
    assert lines[0] == "tests.topic.orders.message_count:1|c"
    assert all(line.startswith("tests.topic.orders.") for line in lines)


def test_it_offers_https(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    pem = tmp_path / "server.pem"
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Nsqd(tls_cert=pem, tls_key=pem, tls_required=True) as nsqd:
        assert ask(nsqd.https_address, "/ping", context=context) == b"OK"
        assert nsqd.https_address == f"https://127.0.0.1:{nsqd.https_port}"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            ask(nsqd.http_address, "/ping")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_cannot_use_it_and_does_not_stop_it() -> None:
    with Nsqd() as nsqd:
        clock = _core.ManualClock()
        child = os.fork()
        if child == 0:
            refused = 0
            for use in (nsqd.stats, nsqd.stop, lambda: clock.advance(1)):
                try:
                    use()
                except errors.NSQException as error:
                    refused += "process" in str(error)
            del nsqd, clock
            with Nsqd() as own:
                works = own.stats()["topics"] == []
            os._exit(refused if works else 99)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert ask(nsqd.http_address, "/ping") == b"OK"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems end what listens with its last copy")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_hold_what_its_parent_stops() -> None:
    with Nsqd() as nsqd, Nsqlookupd() as nsqlookupd:
        servers: list[Any] = [nsqd, nsqlookupd]
        clients = [socket.create_connection((server.host, server.tcp_port), 30) for server in servers]
        for client in clients:
            # It is served by now.
            client.sendall(b"  V9")
            client.recv(1024)
        clients += [socket.create_connection((server.host, server.tcp_port), 30) for server in servers]
        clients[-2].sendall(b"  V2NOP\n")
        clients[-1].sendall(b"  V1PING\n")
        assert clients[-1].recv(1024).endswith(b"OK")
        child = os.fork()
        if child == 0:
            # It stays until the parent has done its part.
            signal.pause()
            os._exit(1)
        for server in servers:
            server.stop()
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((server.host, server.tcp_port), 30)
        for client in clients:
            client.settimeout(30)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(1024):
                    pass
            client.close()
        for server in servers:
            server.start()
            assert ask(server.http_address, "/ping") == b"OK"
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


def test_many_starts_leave_nothing_behind() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    with Nsqd():
        before = descriptors()
    for _ in range(200):
        with Nsqd() as nsqd:
            ask(nsqd.http_address, "/ping")
    with Nsqd():
        assert descriptors() <= before + 3


if not sys.platform.startswith("linux"):
    del test_many_starts_leave_nothing_behind
