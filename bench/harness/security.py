"""What TLS and compression cost gnsq, and what they save: the same work with each, on nsqds that offer them all."""

from __future__ import annotations

from dataclasses import replace

from . import measure, places
from .clients import GNSQ, Client
from .measure import Run
from .proxy import Proxy
from .server import Server, nsqd
from .suites import Suite
from .works import Options, Work


def _layer(key: str, title: str, options: Options) -> Client:
    return replace(GNSQ, key=key, title=title, options=options)


LAYERS = (
    _layer("plain", "plain", {}),
    _layer("snappy", "snappy", {"snappy": "yes"}),
    _layer("deflate-1", "deflate 1", {"deflate": 1}),
    _layer("deflate-6", "deflate 6", {"deflate": 6}),
    _layer("tls", "TLS", {"tls": "yes"}),
    _layer("tls-snappy", "TLS and snappy", {"tls": "yes", "snappy": "yes"}),
    _layer("tls-deflate-6", "TLS and deflate 6", {"tls": "yes", "deflate": 6}),
)
_PUBLISH: Options = {"outstanding": 100, "batching": "yes"}
_CONSUME: Options = {"max-in-flight": 2500}


def _rates(*rates: int) -> dict[str, int]:
    return dict(zip((layer.key for layer in LAYERS), rates))


WORKS = (
    Work(
        "security-publish-200",
        "publish, 100 outstanding, 200 bytes",
        "publish",
        _rates(300_000, 250_000, 200_000, 150_000, 250_000, 200_000, 150_000),
        _PUBLISH,
        text=True,
    ),
    Work(
        "security-consume-200",
        "consume, 200 bytes",
        "consume",
        _rates(400_000, 250_000, 60_000, 60_000, 300_000, 200_000, 60_000),
        _CONSUME,
        text=True,
    ),
    Work(
        "security-publish-10k",
        "publish, 100 outstanding, 10 KiB",
        "publish",
        _rates(50_000, 30_000, 15_000, 10_000, 30_000, 20_000, 10_000),
        _PUBLISH,
        body=10 * 1024,
        text=True,
    ),
    Work(
        "security-consume-10k",
        "consume, 10 KiB",
        "consume",
        _rates(60_000, 30_000, 10_000, 10_000, 30_000, 20_000, 10_000),
        _CONSUME,
        body=10 * 1024,
        text=True,
    ),
)
#: Bytes on the way to nsqd, of so many messages.
_COUNTED = 5000


def _start(client: Client, work: Work) -> Server:
    certificate, key = measure.certificates()
    return nsqd(places.nsqd(), f"--tls-cert={certificate}", f"--tls-key={key}")


def _more(rounds: int) -> list[Run]:
    return [_bytes_sent(layer, work) for work in WORKS if not work.consumes for layer in LAYERS]


def sent(work: Work) -> str:
    """The name of the runs that tell how many bytes a message of this work is: `bytes`."""
    return f"{work.name}-sent"


def _bytes_sent(layer: Client, work: Work) -> Run:
    with _start(layer, work) as server, Proxy(server.tcp) as proxy:
        figures = measure.told(layer, work, _COUNTED, [proxy.address])
        server.check_published(_COUNTED, _COUNTED * work.body)
    sent_bytes = proxy.sent / _COUNTED
    seconds, cpu = figures["seconds"], figures["cpu"]
    return Run("security", sent(work), layer.key, 0, _COUNTED, seconds, cpu, 0, 0, 0, more={"bytes": sent_bytes})


SUITE = Suite("security", WORKS, LAYERS, _start, _more)
