"""Certificates of an authority of one's own, as PEM files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """The paths of PEM files."""

    ca: str
    cert: str
    key: str


def make(directory: Path, *names: str) -> Certificates:
    """A certificate for these names and addresses, by an authority that is made for it."""
    authority = trustme.CA()
    certificate = authority.issue_cert(*names)
    paths = [directory / name for name in ("ca.pem", "cert.pem", "key.pem")]
    authority.cert_pem.write_to_path(paths[0])
    certificate.cert_chain_pems[0].write_to_path(paths[1])
    certificate.private_key_pem.write_to_path(paths[2])
    ca, cert, key = map(str, paths)
    return Certificates(ca, cert, key)
