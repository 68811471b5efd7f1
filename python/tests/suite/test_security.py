"""TLS, compression and AUTH, through producers and consumers alike."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from support import auth, certificates
from support.certificates import Certificates
from support.handlers import Heard, Recorder
from support.servers import Nsqd

from gnsq import errors

Eventually = Callable[..., Any]
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A certificate for 127.0.0.1."""
    return certificates.make(tmp_path_factory.mktemp("tls"), "127.0.0.1", "localhost")


@pytest.fixture
def tls_nsqd(make_nsqd: Callable[..., Nsqd], pems: Certificates) -> Nsqd:
    """An nsqd that talks TLS only."""
    return make_nsqd(tls_cert=pems.cert, tls_key=pems.key, tls_required="tcp-https")


def round_trip(
    nsqd: Nsqd, make_producer: Make, consume: Make, topic: str, eventually: Eventually, **options: Any
) -> dict[str, Any]:
    """Sends some messages through both; the stats of the consumer's connection."""
    producer = make_producer(nsqd.tcp_address, **options)
    bodies = [b"%d " % number * 100 for number in range(50)] + [bytes(range(256)) * 1000]
    for body in bodies:
        assert producer.publish(topic, body, timeout=30) == b"OK"
    seen = Recorder()
    consume(seen, addresses=nsqd.tcp_address, max_in_flight=10, **options)
    eventually(lambda: len(seen.messages) == len(bodies))
    assert sorted(seen.bodies) == sorted(bodies)
    eventually(lambda: nsqd.stats(topic, "c")["clients"][0]["finish_count"] == len(bodies))
    (client,) = nsqd.stats(topic, "c")["clients"]
    return dict(client)


@pytest.mark.parametrize(
    ("options", "as_told"),
    [
        ({"snappy": True}, {"snappy": True}),
        ({"deflate": True, "deflate_level": 3}, {"deflate": True}),
        ({"compression": "snappy"}, {"snappy": True}),
        ({"compression": "deflate"}, {"deflate": True}),
    ],
    ids=["snappy", "deflate", "compression=snappy", "compression=deflate"],
)
def test_messages_go_compressed(
    nsqd: Nsqd,
    make_producer: Make,
    consume: Make,
    topic: str,
    eventually: Eventually,
    options: dict[str, Any],
    as_told: dict[str, bool],
) -> None:
    client = round_trip(nsqd, make_producer, consume, topic, eventually, **options)
    assert {name: client[name] for name in as_told} == as_told


@pytest.mark.parametrize("compression", [None, "snappy", "deflate"])
def test_messages_go_over_tls(
    tls_nsqd: Nsqd,
    pems: Certificates,
    make_producer: Make,
    consume: Make,
    topic: str,
    eventually: Eventually,
    compression: str | None,
) -> None:
    options = {"tls_v1": True, "tls_options": {"ca_certs": pems.ca, "cert_reqs": ssl.CERT_REQUIRED}}
    client = round_trip(tls_nsqd, make_producer, consume, topic, eventually, compression=compression, **options)
    assert client["tls"]
    assert client["snappy"] == (compression == "snappy")
    assert client["deflate"] == (compression == "deflate")


@pytest.mark.parametrize("options", [{"cert_reqs": ssl.CERT_NONE}, {"insecure_skip_verify": True}])
def test_verification_can_be_turned_off(
    tls_nsqd: Nsqd, make_producer: Make, topic: str, options: dict[str, Any]
) -> None:
    producer = make_producer(tls_nsqd.tcp_address, tls_v1=True, tls_options=options)
    assert producer.publish(topic, b"x", timeout=30) == b"OK"


@pytest.mark.parametrize("options", [None, {}, {"server_hostname": "127.0.0.1"}])
def test_a_server_that_nobody_vouches_for_is_refused(
    tls_nsqd: Nsqd, make_producer: Make, topic: str, options: dict[str, Any] | None
) -> None:
    producer = make_producer(tls_nsqd.tcp_address, tls_v1=True, tls_options=options)
    with pytest.raises(errors.NSQNoConnections):
        producer.publish(topic, b"x", timeout=1)
    assert not tls_nsqd.stats(topic)


def test_a_server_of_another_name_is_refused(
    make_nsqd: Callable[..., Nsqd], tmp_path: Path, make_producer: Make, topic: str
) -> None:
    pems = certificates.make(tmp_path, "elsewhere.invalid")
    nsqd = make_nsqd(tls_cert=pems.cert, tls_key=pems.key)
    options = {"ca_certs": pems.ca}
    producer = make_producer(nsqd.tcp_address, tls_v1=True, tls_options=options)
    with pytest.raises(errors.NSQNoConnections):
        producer.publish(topic, b"x", timeout=1)
    named = make_producer(
        nsqd.tcp_address, tls_v1=True, tls_options={**options, "server_hostname": "elsewhere.invalid"}
    )
    assert named.publish(topic, b"x", timeout=30) == b"OK"


def test_a_client_shows_its_certificate(
    make_nsqd: Callable[..., Nsqd], pems: Certificates, make_producer: Make, topic: str
) -> None:
    nsqd = make_nsqd(
        tls_cert=pems.cert,
        tls_key=pems.key,
        tls_root_ca_file=pems.ca,
        tls_client_auth_policy="require-verify",
        tls_required="tcp-https",
    )
    options = {"ca_certs": pems.ca, "certfile": pems.cert, "keyfile": pems.key}
    producer = make_producer(nsqd.tcp_address, tls_v1=True, tls_options=options)
    assert producer.publish(topic, b"x", timeout=30) == b"OK"


@pytest.fixture
def auth_nsqd(make_nsqd: Callable[..., Nsqd]) -> Iterator[Nsqd]:
    """An nsqd that wants to know a secret."""
    with auth.running("opensesame") as address:
        yield make_nsqd(auth_http_address=[address])


@pytest.mark.parametrize("secret", ["opensesame", b"opensesame"], ids=["str", "bytes"])
def test_a_secret_opens_nsqd(
    auth_nsqd: Nsqd, make_producer: Make, make_consumer: Make, topic: str, eventually: Eventually, secret: Any
) -> None:
    told = Heard()
    producer = make_producer(auth_nsqd.tcp_address, auth_secret=secret)
    assert producer.publish(topic, b"x", timeout=30) == b"OK"
    seen = Recorder()
    consumer = make_consumer(seen, addresses=auth_nsqd.tcp_address, auth_secret=secret)
    consumer.on_auth.connect(told, weak=False)
    consumer.start(block=False)
    eventually(lambda: seen.messages and told)
    assert told.all("response")[0]["identity"] == "tester"
    assert str(told.all("conn")[0]) == auth_nsqd.tcp_address
    assert "opensesame" not in repr(producer) + repr(consumer)


@pytest.mark.parametrize("secret", ["wrong", None])
def test_without_the_secret_nothing_is_published(
    auth_nsqd: Nsqd, make_producer: Make, topic: str, secret: str | None
) -> None:
    options = {} if secret is None else {"auth_secret": secret}
    producer = make_producer(auth_nsqd.tcp_address, **options)
    with pytest.raises(errors.NSQException):
        producer.publish(topic, b"x", timeout=1)
    assert not auth_nsqd.stats(topic)
