"""What the documents show is run as it stands, but for the servers' ports; their links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import auth, certificates
from support.pages import PAGES, ROOT, all_blocks

from gnsq import testing

# They run in processes of their own.
pytestmark = pytest.mark.modes("threads")

_TESTS = Path(__file__).parent


@pytest.mark.parametrize("page", [page for page in PAGES if all_blocks(page)], ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    with _servers(page, tmp_path) as (nsqd, nsqlookupd):
        replaced = {
            "nsqd.example.com:4150": f"localhost:{nsqd.tcp_port}",
            "4150": str(nsqd.tcp_port),
            "4151": str(nsqd.http_port),
            "4161": str(nsqlookupd.http_port),
        }
        environment = {**os.environ, "GNSQ_TEST_HTTP": nsqd.http_address, "PYTHONPATH": str(_TESTS)}
        program = [sys.executable, "-W", "error", str(_TESTS / "programs" / "page.py"), str(page)]
        done = subprocess.run(
            [*program, *(f"{old}={new}" for old, new in replaced.items())],
            cwd=tmp_path,
            env=environment,
            timeout=100,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout


def test_few_blocks_are_not_run() -> None:
    assert sum(block.reason is not None for page in PAGES for block in all_blocks(page)) <= 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    # The package's own page is also read elsewhere, and has addresses in full.
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else page.parent / path
        assert target.exists(), f"{page.relative_to(ROOT)} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target), f"{page.relative_to(ROOT)} links to {link}"


def _anchors(page: Path) -> set[str]:
    """Of its headings, as the forge makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@contextmanager
def _servers(page: Path, directory: Path) -> Iterator[tuple[testing.Nsqd, testing.Nsqlookupd]]:
    """Those that the page's programs find: the one about security has an nsqd with TLS, which asks for a secret."""
    with ExitStack() as stack:
        options: dict[str, Any] = {}
        if page.name == "security.md":
            made = certificates.make(directory, "localhost", "127.0.0.1")
            secrets = stack.enter_context(auth.running("opensesame"))
            options = {"tls_cert": made.cert, "tls_key": made.key, "auth_http_address": [secrets]}
        nsqlookupd = stack.enter_context(testing.Nsqlookupd())
        yield stack.enter_context(testing.Nsqd(lookupd=nsqlookupd, **options)), nsqlookupd
