"""What messages say: one letter again and again, or text as programs write it, which compresses as such text does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from . import places

#: So much text, and it begins again: more than a compression looks back, so that it finds nothing of it again.
_TEXT = 1_000_000
_MOST = 5000


def plain(size: int) -> Iterator[bytes]:
    """The same body for ever."""
    return itertools.repeat(b"x" * size)


def text(size: int) -> Iterator[bytes]:
    """Bodies that are alike and not the same, again from the first when they end."""
    whole = file(size).read_bytes()
    return itertools.cycle([whole[at : at + size] for at in range(0, len(whole), size)])


def file(size: int) -> Path:
    """A file with the bodies, one behind the other, for clients."""
    path = places.BUILT / f"bodies-{size}"
    if not path.exists():
        count = min(_MOST, _TEXT // size)
        path.write_bytes(b"".join(itertools.islice(_records(size), count)))
    return path


def _records(size: int) -> Iterator[bytes]:
    random = 1

    def number() -> int:
        nonlocal random
        random = (random * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return random >> 40

    while True:
        body = ""
        while len(body) < size:
            customer, cents = number() % 10_000, number() % 100_000
            body += f'{{"order":{number()},"customer":"customer-{customer}","cents":{cents},"status":"paid"}},'
        yield body[:size].encode()
