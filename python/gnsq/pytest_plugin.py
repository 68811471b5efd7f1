"""Fixtures for pytest, in every project that has gnsq installed: `nsqd` and `nsqlookupd`, in memory, for one test each.

    def test_an_order_is_published(nsqd):
        publish_order(nsqd.tcp_address)
        assert nsqd.stats()["topics"][0]["message_count"] == 1

Where both are asked for, the nsqd is registered at the nsqlookupd. See :mod:`gnsq.testing`. A project's own fixtures of
these names come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # At run time only when a fixture is asked for: the project may want to monkey-patch first.
    from .testing import Nsqd, Nsqlookupd


@pytest.fixture
def nsqlookupd() -> Iterator[Nsqlookupd]:
    """An nsqlookupd in memory, for this test."""
    from .testing import Nsqlookupd

    with Nsqlookupd() as nsqlookupd:
        yield nsqlookupd


@pytest.fixture
def nsqd(request: pytest.FixtureRequest) -> Iterator[Nsqd]:
    """An nsqd in memory, for this test, registered at the fixture `nsqlookupd` if the test asks for that too."""
    from .testing import Nsqd

    lookupd = (request.getfixturevalue("nsqlookupd"),) if "nsqlookupd" in request.fixturenames else ()
    with Nsqd(lookupd=lookupd) as nsqd:
        yield nsqd
