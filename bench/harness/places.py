"""Where everything is, and how it gets there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
CHECKOUT = BENCH.parent
CLIENTS = BENCH / "clients"
RESULTS = BENCH / "results.json"
PLOTS = CHECKOUT / "docs" / "plots"
#: What is built here and not committed: environments of Python, peers' programs, certificates.
BUILT = BENCH / ".built"
GO_PROGRAM = BUILT / "go-nsq"
TOKIO_NSQ_PROGRAM = BUILT / "tokio-nsq" / "release" / "gnsq-bench-tokio-nsq"

#: What is installed for each client in Python; ours is this checkout beside it.
PACKAGES = {
    "gnsq-1.0.2": ("gnsq==1.0.2", "gevent==26.9.0"),
    "pynsq-0.9.1": ("pynsq==0.9.1", "tornado==6.6.1"),
    "ansq-0.3.0": ("ansq==0.3.0",),
    "ours": ("gevent==26.9.0",),
}


class Missing(Exception):
    """Something that has to be there first."""


def nsqd() -> Path:
    """The real nsqd."""
    directory = os.environ.get("GNSQ_TEST_BIN_DIR")
    path = Path(directory) / "nsqd" if directory else CHECKOUT / "tools" / "bin" / "nsqd"
    if not path.exists():
        raise Missing(f"there is no {path}: build it with `make tools`")
    return path


def rust_program() -> Path:
    """The program with gnsq, the least loops and the embedded nsqd."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or CHECKOUT / "target") / "release" / "gnsq-bench"


def venv_python(name: str) -> Path:
    """The interpreter of a virtual environment."""
    return BUILT / f"venv-{name}" / "bin" / "python"


def prepare(builds: Iterable[str], anew: bool) -> None:
    """Installs the peers that are not there, and builds what is ours again if `anew`."""
    BUILT.mkdir(exist_ok=True)
    # The socket loop, which each suite has; and what makes a certificate.
    for name in dict.fromkeys(("rust", *builds)):
        if name == "rust":
            if anew or not rust_program().exists():
                _run("cargo", "build", "--quiet", "--release", "-p", "gnsq-bench", directory=CHECKOUT)
        elif name == "go":
            # Go's own cache knows whether anything changed.
            _run("go", "build", "-o", GO_PROGRAM, ".", directory=CLIENTS / "go")
        elif name == "tokio-nsq":
            target = BUILT / "tokio-nsq"
            arguments = ("--quiet", "--release", "--locked", "--target-dir", target)
            _run("cargo", "build", *arguments, directory=CLIENTS / "tokio-nsq")
        elif name == "node":
            if not (CLIENTS / "node" / "node_modules").exists():
                _run("npm", "ci", "--no-audit", "--no-fund", directory=CLIENTS / "node")
        else:
            _prepare_venv(name, anew)


def _prepare_venv(name: str, anew: bool) -> None:
    python = venv_python(name)
    package = CHECKOUT / "python"
    if not python.exists():
        _run(sys.executable, "-m", "venv", python.parents[1])
        try:
            _install(python, *PACKAGES[name], *([package] if name == "ours" else []))
        except Missing:
            # Half an environment would be taken for a whole one the next time.
            shutil.rmtree(python.parents[1])
            raise
    elif name == "ours" and anew:
        _install(python, "--force-reinstall", "--no-deps", package)


def _install(python: Path, *packages: str | Path) -> None:
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)


def _run(*command: str | Path, directory: Path | None = None) -> None:
    print("+", *command, file=sys.stderr)
    try:
        done = subprocess.run(command, cwd=directory, stdout=sys.stderr, check=False)
    except FileNotFoundError as error:
        raise Missing(f"`{command[0]}` is not installed ({error})") from None
    if done.returncode != 0:
        raise Missing(f"`{' '.join(map(str, command))}` failed with status {done.returncode}")
