"""What an installation has beside the code."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

import gnsq
from gnsq import _core

pytestmark = pytest.mark.modes("threads")


def test_it_depends_on_nothing_but_blinker_and_gevent_is_an_extra() -> None:
    needed = importlib.metadata.requires("gnsq") or []
    assert [one.split(">")[0] for one in needed if "extra ==" not in one] == ["blinker"]
    assert [one.split(">")[0] for one in needed if "extra ==" in one] == ["gevent"]


def test_one_wheel_is_for_python_3_9_and_newer() -> None:
    assert importlib.metadata.metadata("gnsq")["Requires-Python"] == ">=3.9"
    if not sys.platform.startswith("win"):
        assert Path(_core.__file__).name == "_core.abi3.so"


def test_it_says_that_it_is_typed() -> None:
    assert (Path(gnsq.__file__).parent / "py.typed").is_file()
    assert Path(_core.__file__).with_name("_core.pyi").is_file()


def test_its_version_is_that_of_the_installation() -> None:
    assert gnsq.__version__ == importlib.metadata.version("gnsq")
