"""Where everything is, and how it gets there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .works import PACKAGES, Client

HERE = Path(__file__).resolve().parents[1]
CHECKOUT = HERE.parents[1]
VENVS = HERE / ".venvs"


class Missing(Exception):
    """Something that has to be there first."""


def nsqd() -> Path:
    """The real nsqd."""
    directory = os.environ.get("GNSQ_TEST_BIN_DIR")
    path = Path(directory) / "nsqd" if directory else CHECKOUT / "tools" / "bin" / "nsqd"
    if not path.exists():
        raise Missing(f"there is no {path}: build it with `make tools`")
    return path


def prepare(clients: list[Client], build: bool) -> None:
    """Installs what the clients need, and builds this package and the socket loop anew if `build`."""
    for client in clients:
        if client.venv is None:
            if build or not socket_loop().exists():
                _run("cargo", "build", "--quiet", "--release", "-p", "gnsq-bench", directory=CHECKOUT)
        elif not python(client).exists():
            _run(sys.executable, "-m", "venv", str(VENVS / client.venv))
            _install(client, *PACKAGES[client.venv])
            if client.venv == "ours":
                _install(client, str(CHECKOUT / "python"))
        elif client.venv == "ours" and build:
            _install(client, "--force-reinstall", "--no-deps", str(CHECKOUT / "python"))
            # Once for all three clients.
            build = False


def command(client: Client, work: str, address: str, count: int) -> list[str]:
    """What is run."""
    if client.program is None:
        return [str(socket_loop()), "publish" if work.startswith("publish") else work, "socket-loop", address]
    return [str(python(client)), str(HERE / "clients" / client.program), work, address, str(count)]


def python(client: Client) -> Path:
    """The interpreter of a client's virtual environment."""
    return VENVS / str(client.venv) / "bin" / "python"


def socket_loop() -> Path:
    """The program with the plain socket loop."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or CHECKOUT / "target") / "release" / "gnsq-bench"


def _install(client: Client, *packages: str) -> None:
    _run(str(python(client)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)


def _run(*command: str, directory: Path | None = None) -> None:
    print("+", *command, file=sys.stderr)
    done = subprocess.run(command, cwd=directory, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise Missing(f"`{' '.join(command)}` failed with status {done.returncode}")
