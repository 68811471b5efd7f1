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


@pytest.mark.parametrize("compression", [None, "snappy", "deflate"])
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["clear", "tls"])
def test_what_a_producer_asks_for_nsqd_grants(
    request: pytest.FixtureRequest, make_producer: Make, topic: str, is_encrypted: bool, compression: str | None
) -> None:
    nsqd = request.getfixturevalue("tls_nsqd" if is_encrypted else "nsqd")
    options = {"tls_v1": True, "tls_options": {"ca_certs": request.getfixturevalue("pems").ca}} if is_encrypted else {}
    producer = make_producer(nsqd.tcp_address, compression=compression, **options)
    body = bytes(range(256)) * 1000
    assert producer.publish(topic, body, timeout=30) == b"OK"
    (granted,) = nsqd.request("/stats?format=json")["producers"]
    wanted = {"tls": is_encrypted, "snappy": compression == "snappy", "deflate": compression == "deflate"}
    assert {name: granted[name] for name in wanted} == wanted
    assert nsqd.stats(topic)["message_bytes"] == len(body)


@pytest.mark.parametrize(
    "options",
    [{"cert_reqs": ssl.CERT_NONE}, {"cert_reqs": "CERT_NONE"}, {"cert_reqs": 0}, {"insecure_skip_verify": True}],
    ids=str,
)
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


@pytest.mark.parametrize("cert_reqs", [None, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED, "CERT_REQUIRED", "required"])
def test_a_server_that_another_authority_vouches_for_is_refused(
    tls_nsqd: Nsqd, tmp_path: Path, make_producer: Make, topic: str, cert_reqs: Any
) -> None:
    other = certificates.make(tmp_path, "127.0.0.1")
    producer = make_producer(
        tls_nsqd.tcp_address, tls_v1=True, tls_options={"ca_certs": other.ca, "cert_reqs": cert_reqs}
    )
    with pytest.raises(errors.NSQNoConnections, match="certificate"):
        producer.publish(topic, b"x", timeout=0.2)
    assert not tls_nsqd.stats(topic)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"ciphers": "HIGH:!aNULL"}, ValueError, "ciphers can't be chosen"),
        ({"cert_reqs": "CERT_SOME"}, ValueError, "cert_reqs is 'CERT_SOME'"),
        ({"cert_reqs": 7}, ValueError, "cert_reqs is 7"),
        ({"cert_reqs": ssl.CERT_REQUIRED, "insecure_skip_verify": True}, ValueError, "contradicts"),
        ({"ssl_version": "TLSv9"}, ValueError, "ssl_version is 'TLSv9'"),
        ({"ssl_version": 99}, ValueError, "ssl_version is 99"),
        ({"ssl_version": ssl.PROTOCOL_TLS_SERVER}, ValueError, "ssl_version"),
        ({"server_side": True}, ValueError, "server_side"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
    ids=str,
)
def test_tls_options_that_cannot_be_honoured_are_refused_where_the_client_is_made(
    api: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    for make in (api.Producer, lambda nsqd, **options: api.Consumer("t", "c", nsqd, **options)):
        with pytest.raises(error, match=text):
            make("127.0.0.1:4150", tls_v1=True, tls_options=options)


@pytest.mark.parametrize("version", ["PROTOCOL_TLS", "PROTOCOL_TLS_CLIENT", "TLSv1.2", ssl.TLSVersion.TLSv1_2, None])
def test_all_that_wrap_socket_takes_is_taken(
    tls_nsqd: Nsqd, pems: Certificates, tmp_path: Path, make_producer: Make, topic: str, version: Any
) -> None:
    both = tmp_path / "both.pem"
    both.write_text(Path(pems.cert).read_text() + Path(pems.key).read_text())
    options = {
        "ca_certs": pems.ca,
        "certfile": both,
        "keyfile": None,
        "cert_reqs": ssl.CERT_REQUIRED,
        "ssl_version": version,
        "server_side": False,
        "ciphers": None,
        "do_handshake_on_connect": True,
        "suppress_ragged_eofs": True,
    }
    producer = make_producer(tls_nsqd.tcp_address, tls_v1=True, tls_options=options)
    assert producer.publish(topic, b"x", timeout=30) == b"OK"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, "TLSv1_3", "TLSv1.3"])
@pytest.mark.parametrize("server_kind", ["embedded"], indirect=True)
def test_no_older_version_than_asked_for_is_spoken(
    make_nsqd: Callable[..., Nsqd], pems: Certificates, make_producer: Make, topic: str, version: Any
) -> None:
    nsqd = make_nsqd(tls_cert=pems.cert, tls_key=pems.key, tls_required="tcp-https")
    options = {"ca_certs": pems.ca, "ssl_version": version}
    producer = make_producer(nsqd.tcp_address, tls_v1=True, tls_options=options)
    assert producer.publish(topic, b"x", timeout=30) == b"OK"
    (granted,) = nsqd.request("/stats?format=json")["producers"]
    assert granted["tls_version"] == "TLS1.3"


def test_tls_options_without_tls_are_warned_of(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    api.Producer("127.0.0.1:4150", tls_options={"ca_certs": "ca.pem"})
    assert "nothing is encrypted" in caplog.text


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
    anonymous = make_producer(nsqd.tcp_address, tls_v1=True, tls_options={"ca_certs": pems.ca})
    with pytest.raises(errors.NSQException):
        anonymous.publish(topic, b"y", timeout=0.2)
    assert nsqd.stats(topic)["message_count"] == 1


@pytest.fixture
def auth_nsqd(make_nsqd: Callable[..., Nsqd]) -> Iterator[Nsqd]:
    """An nsqd that wants to know a secret."""
    with auth.running("opensesame") as address:
        yield make_nsqd(auth_http_address=[address])


def told_of_secret(told: Heard, nsqd: Nsqd) -> bool:
    """Whether the receiver was told who this is."""
    return bool(told) and (told.all("response")[0]["identity"], str(told.all("conn")[0])) == (
        "tester",
        nsqd.tcp_address,
    )


@pytest.mark.parametrize("secret", ["opensesame", b"opensesame"], ids=["str", "bytes"])
def test_a_secret_opens_nsqd(
    api: Any, auth_nsqd: Nsqd, make_consumer: Make, topic: str, eventually: Eventually, secret: Any
) -> None:
    by_producer, by_consumer = Heard(), Heard()
    producer = api.Producer(auth_nsqd.tcp_address, auth_secret=secret)
    producer.on_auth.connect(by_producer, weak=False)
    with producer:
        assert producer.publish(topic, b"x", timeout=30) == b"OK"
        eventually(lambda: told_of_secret(by_producer, auth_nsqd))
    seen = Recorder()
    consumer = make_consumer(seen, addresses=auth_nsqd.tcp_address, auth_secret=secret)
    consumer.on_auth.connect(by_consumer, weak=False)
    consumer.start(block=False)
    eventually(lambda: seen.messages and told_of_secret(by_consumer, auth_nsqd))
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
