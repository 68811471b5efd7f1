"""What all tests have: servers, names, a way to wait, and the mode that the environment asks for."""

from __future__ import annotations

# First of all: what is imported before is not patched.
from support import mode  # isort: skip

mode.begin()

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from support import servers, waiting
from support.servers import Nsqd, Nsqlookupd
from support.workers import Worker, spawn_worker


def pytest_report_header() -> str:
    """Tells in which mode the tests run."""
    return f"gnsq: mode {mode.NAME}, python {sys.version.split()[0]}"


def pytest_configure(config: pytest.Config) -> None:
    """Tells of our marks."""
    # A program that tests start as `python -c` or `-m` would find the sources here in place of what is installed.
    os.chdir(config.rootpath / "tests")
    # A shell has its background jobs ignore Ctrl-C, and programs inherit that, also those that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "modes(*names): the modes in which it runs, all but asyncio without it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves what this mode has no use for. With asyncio, those are all but the behavioural suite and its own tests."""
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        mark = item.get_closest_marker("modes")
        parts = item.path.relative_to(config.rootpath).parts
        if mark:
            wanted = mode.NAME in mark.args
        elif mode.NAME == "asyncio":
            wanted = "suite" in parts or "asyncio" in parts
        else:
            wanted = "asyncio" not in parts
        (kept if wanted else left).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)


@pytest.fixture(params=servers.KINDS)
def server_kind(request: pytest.FixtureRequest) -> str:
    """`real` or `embedded`: which servers `nsqd`, `nsqlookupd`, `make_nsqd` and `make_nsqlookupd` give."""
    return str(request.param)


@pytest.fixture
def make_nsqd(server_kind: str, tmp_path: Path) -> Iterator[Callable[..., Nsqd]]:
    """Starts an nsqd: `make_nsqd(lookupds=[nsqlookupd], host="127.0.0.1", msg_timeout=1)`, with the options of
    `gnsq.testing.Nsqd`."""
    with servers.started(servers.nsqd(server_kind), tmp_path) as make:
        yield make


@pytest.fixture
def make_nsqlookupd(server_kind: str, tmp_path: Path) -> Iterator[Callable[..., Nsqlookupd]]:
    """Starts an nsqlookupd, with the options of `gnsq.testing.Nsqlookupd`."""
    with servers.started(servers.nsqlookupd(server_kind), tmp_path) as make:
        yield make


@pytest.fixture
def nsqd(make_nsqd: Callable[..., Nsqd]) -> Nsqd:
    """A running nsqd that nobody else uses."""
    return make_nsqd()


@pytest.fixture
def nsqlookupd(make_nsqlookupd: Callable[..., Nsqlookupd]) -> Nsqlookupd:
    """A running nsqlookupd that knows no nsqd: give it to `make_nsqd(lookupds=[nsqlookupd])`."""
    return make_nsqlookupd()


@pytest.fixture
def topic() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def eventually() -> Callable[..., object]:
    """`eventually(predicate, timeout=30)`: waits until it gives something true, and returns that."""
    return waiting.eventually


@pytest.fixture
def spawn() -> Callable[..., Worker]:
    """`spawn(function, *args)`: runs it in a thread, or in a greenlet under gevent; `join(timeout)`, `result()`."""
    return spawn_worker
