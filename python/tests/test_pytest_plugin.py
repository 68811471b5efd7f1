"""A project that has gnsq installed gets servers by asking."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

PROJECT = """
    import json, urllib.request

    def get(address, path, body=None):
        with urllib.request.urlopen(address + path, body, timeout=30) as answer:
            return answer.read()
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    # The plugin of anyio, which comes with FastAPI, imports what gevent has to patch first.
    options = ("-p", "no:anyio", "-p", "no:cacheprovider", "-W", "error")
    return pytester.runpytest_subprocess(*options, *arguments, timeout=120)


def test_a_project_gets_servers_for_each_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        PROJECT
        + """
    seen = []

    def test_an_nsqd(nsqd):
        get(nsqd.http_address, "/pub?topic=a", b"tea")
        assert nsqd.stats()["topics"][0]["message_count"] == 1
        seen.append(nsqd)

    def test_another_nsqd(nsqd):
        assert nsqd.stats()["topics"] == []
        assert not seen[0].is_running

    def test_an_nsqlookupd(nsqlookupd):
        assert json.loads(get(nsqlookupd.http_address, "/topics")) == {"topics": []}

    def test_both(nsqd, nsqlookupd):
        get(nsqd.http_address, "/topic/create?topic=a", b"")
        while nsqlookupd.registrations() != {"a": ([], [nsqd.tcp_address])}:
            pass
    """
    )
    run(pytester).assert_outcomes(passed=4)


def test_the_fixtures_are_listed(pytester: pytest.Pytester) -> None:
    listed = pytester.runpytest_subprocess("--fixtures", timeout=120)
    listed.stdout.fnmatch_lines(["nsqd -- *pytest_plugin.py*", "*An nsqd in memory, for this test*"])


def test_a_projects_own_fixture_comes_first(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef nsqd():\n    return 'mine'")
    pytester.makepyfile("def test_mine(nsqd):\n    assert nsqd == 'mine'")
    run(pytester).assert_outcomes(passed=1)


def test_a_project_may_monkey_patch_after_the_plugin_is_loaded(pytester: pytest.Pytester) -> None:
    pytest.importorskip("gevent")
    pytester.makeconftest("from gevent import monkey\nmonkey.patch_all()")
    pytester.makepyfile(
        PROJECT
        + """
    import gevent

    def test_greenlets(nsqd):
        publishes = [gevent.spawn(get, nsqd.http_address, "/pub?topic=a", b"tea") for _ in range(10)]
        gevent.joinall(publishes, timeout=30, raise_error=True)
        assert nsqd.stats()["topics"][0]["message_count"] == 10
    """
    )
    run(pytester).assert_outcomes(passed=1)


def test_the_plugin_loads_nothing_that_has_to_be_patched_first() -> None:
    """Beside what pytest has loaded by itself; gevent warns where `ssl` was imported before it could patch it."""
    program = """
import sys
import pytest
before = set(sys.modules)
import gnsq.pytest_plugin
loaded = set(sys.modules) - before
print(sorted(loaded & {"ssl", "gevent", "asyncio"}))
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
