"""Whom the HTTP clients trust, and what they show of themselves."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import trustme
from support.scripted_http import scripted_http

from gnsq import errors
from gnsq._nsqd_http import NsqdHTTPClient
from gnsq.consumer import Consumer
from gnsq.lookupd import Lookupd, LookupdClient
from gnsq.testing import Nsqd


class Files:
    """An authority, and what it has signed, as PEM files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = trustme.CA()
        self.authority = self._write("authority.pem", self._authority.cert_pem)

    def signed(self, name: str) -> str:
        """A certificate for `name` with its key, in one file."""
        return self._write(f"{name}.pem", self._authority.issue_cert(name).private_key_and_cert_chain_pem)

    def signed_apart(self, name: str) -> tuple[str, str]:
        """A certificate for `name`, and its key."""
        made = self._authority.issue_cert(name)
        (chain,) = made.cert_chain_pems
        return self._write(f"{name}.crt", chain), self._write(f"{name}.key", made.private_key_pem)

    def _write(self, name: str, blob: trustme.Blob) -> str:
        path = str(self._directory / name)
        blob.write_to_path(path)
        return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def https(files: Files) -> Iterator[Nsqd]:
    pem = files.signed("127.0.0.1")
    with Nsqd(tls_cert=pem, tls_key=pem) as nsqd:
        yield nsqd


def test_an_own_authority_is_trusted(https: Nsqd, files: Files, topic: str) -> None:
    by_keyword = NsqdHTTPClient("127.0.0.1", https.https_port, ca_certs=files.authority)
    by_dict = NsqdHTTPClient("127.0.0.1", https.https_port, tls_options={"ca_certs": files.authority})
    by_url = NsqdHTTPClient.from_url(https.https_address, ca_certs=files.authority, cert_reqs=ssl.CERT_REQUIRED)
    for client in (by_keyword, by_dict, by_url):
        assert client.scheme == "https"
        assert client.address == f"{https.https_address}/"
        assert client.publish(topic, b"tea") == b"OK"
    assert https.stats()["topics"][0]["message_count"] == 3


def test_a_server_that_is_not_trusted_is_told_nothing(https: Nsqd, tmp_path: Path, topic: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    clients: list[Any] = [
        NsqdHTTPClient.from_url(https.https_address),
        NsqdHTTPClient.from_url(https.https_address, cert_reqs=None),
        NsqdHTTPClient.from_url(https.https_address, ca_certs=Files(other).authority),
        NsqdHTTPClient.from_url(https.https_address, ca_certs=Files(other).authority, cert_reqs=ssl.CERT_OPTIONAL),
    ]
    for client in clients:
        with pytest.raises(errors.NSQSocketError, match="no TLS connection"):
            client.publish(topic, b"secret")
    assert https.stats()["topics"] == []


@pytest.mark.parametrize("options", [{"cert_reqs": ssl.CERT_NONE}, {"insecure_skip_verify": True}])
def test_verification_can_be_turned_off(https: Nsqd, options: dict[str, Any]) -> None:
    assert NsqdHTTPClient.from_url(https.https_address, **options).ping() == b"OK"
    assert NsqdHTTPClient("127.0.0.1", https.https_port, tls_options=options).ping() == b"OK"


def test_a_certificate_for_another_name_is_refused_unless_that_is_asked_for(files: Files) -> None:
    pem = files.signed("nsqd.example")
    with Nsqd(tls_cert=pem, tls_key=pem) as nsqd:
        with pytest.raises(errors.NSQSocketError, match="not valid for name"):
            NsqdHTTPClient.from_url(nsqd.https_address, ca_certs=files.authority).ping()
        named = {"ca_certs": files.authority, "server_hostname": "nsqd.example"}
        assert NsqdHTTPClient.from_url(nsqd.https_address, **named).ping() == b"OK"
        assert NsqdHTTPClient("localhost", nsqd.https_port, tls_options=named).ping() == b"OK"


def test_a_server_that_wants_a_certificate_gets_one(files: Files) -> None:
    pem = files.signed("127.0.0.1")
    certificate, key = files.signed_apart("billing.example")
    options: dict[str, Any] = {"tls_client_auth_policy": "require-verify", "tls_root_ca_file": files.authority}
    with Nsqd(tls_cert=pem, tls_key=pem, **options) as nsqd:
        client: Callable[..., NsqdHTTPClient] = NsqdHTTPClient.from_url
        shown = client(nsqd.https_address, ca_certs=files.authority, certfile=certificate, keyfile=key)
        assert shown.ping() == b"OK"
        both = client(nsqd.https_address, ca_certs=files.authority, certfile=files.signed("shop.example"))
        assert both.ping() == b"OK"
        with pytest.raises(errors.NSQSocketError):
            client(nsqd.https_address, ca_certs=files.authority).ping()


def test_a_file_that_cannot_be_used_is_named(files: Files) -> None:
    for option in ("ca_certs", "certfile"):
        with pytest.raises(ValueError, match=r"/none\.pem"):
            NsqdHTTPClient("localhost", 4152, **{option: "/none.pem"})
    _, key = files.signed_apart("billing.example")
    with pytest.raises(ValueError, match="certificate"):
        NsqdHTTPClient(keyfile=key)


def test_the_deprecated_lookupd_takes_them_too(https: Nsqd, files: Files) -> None:
    with pytest.warns(DeprecationWarning):
        assert Lookupd(https.https_address, ca_certs=files.authority).ping() == b"OK"


def test_a_consumer_finds_nsqds_by_a_client_with_options_of_its_own(
    files: Files, topic: str, eventually: Callable[..., object]
) -> None:
    with scripted_http(files.signed("127.0.0.1")) as lookups, Nsqd() as nsqd:
        producer = {"broadcast_address": nsqd.host, "tcp_port": nsqd.tcp_port, "http_port": nsqd.http_port}
        lookups.answers(json.dumps({"channels": [], "producers": [producer]}).encode())
        lookupd: Any = LookupdClient.from_url(
            f"{lookups.url}/?token=s3cret", useragent="shop", ca_certs=files.authority
        )
        consumer = Consumer(topic, "c", lookupd_http_addresses=lookupd)
        assert consumer.lookupds == [lookupd]
        bodies: list[bytes] = []

        def handle(_: Consumer, message: Any) -> None:
            bodies.append(message.body)

        consumer.on_message.connect(handle)
        NsqdHTTPClient.from_url(nsqd.http_address).publish(topic, b"tea")
        consumer.start(block=False)
        eventually(lambda: bodies == [b"tea"])
        consumer.close()
        consumer.join(30)
        assert lookups.asked[0].headers["user-agent"] == "shop"
        assert lookups.asked[0].line == f"GET /lookup?topic={topic}&token=s3cret HTTP/1.1"
