"""TLS as `ssl.wrap_socket` was told, or in words of ours: what that means here, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from . import _core

#: The names of all options.
NAMES = frozenset(
    (
        "ca_certs",
        "cert_reqs",
        "certfile",
        "ciphers",
        "do_handshake_on_connect",
        "insecure_skip_verify",
        "keyfile",
        "server_hostname",
        "server_side",
        "ssl_version",
        "suppress_ragged_eofs",
    )
)


def parse(options: Mapping[str, Any] | None) -> _core.TlsOptions:
    """The options as the core takes them. Without any the server is verified against the system's roots.

    :raises TypeError: for an option that is none
    :raises ValueError: for a value that can't be honoured
    """
    given = dict(options or {})
    unknown = given.keys() - NAMES
    if unknown:
        raise TypeError(f"unknown TLS option: {', '.join(sorted(unknown))}")
    if given.get("ciphers") is not None:
        raise ValueError(
            "ciphers can't be chosen: all that are spoken, of TLS 1.2 and 1.3, have forward secrecy and authenticated "
            "encryption. Leave it out"
        )
    if given.get("server_side"):
        raise ValueError("server_side: this is a client")
    # `do_handshake_on_connect` and `suppress_ragged_eofs` need nothing: there is always a handshake before anything is
    # sent, and the end of a connection is always told.
    return _core.TlsOptions(
        ca_file=_path(given.get("ca_certs")),
        cert_file=_path(given.get("certfile")),
        # As in `ssl`, the file of the certificate may have the key, too.
        key_file=_path(given.get("keyfile") or given.get("certfile")),
        server_hostname=given.get("server_hostname"),
        verify=_verify(given.get("cert_reqs"), given.get("insecure_skip_verify")),
        min_version=_min_version(given.get("ssl_version")),
    )


def _path(path: Any) -> str | None:
    return None if path is None else os.fspath(path)


def _verify(cert_reqs: Any, skip: Any) -> bool:
    # Not before it is wanted: gevent can't patch what was imported before it.
    import ssl

    if cert_reqs is None:
        return not skip
    if isinstance(cert_reqs, str):
        # As of `ssl`, or without what they all begin with.
        name = cert_reqs.upper().removeprefix("CERT_")
        known: Any = {"NONE": ssl.CERT_NONE, "OPTIONAL": ssl.CERT_OPTIONAL, "REQUIRED": ssl.CERT_REQUIRED}
        wanted = known.get(name)
    else:
        wanted = cert_reqs
    if wanted not in (ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED):
        raise ValueError(f"cert_reqs is {cert_reqs!r}: CERT_NONE, CERT_OPTIONAL and CERT_REQUIRED are known")
    if wanted == ssl.CERT_NONE:
        return False
    if skip:
        raise ValueError(f"cert_reqs is {cert_reqs!r}, and insecure_skip_verify contradicts it")
    # For a client CERT_OPTIONAL is the same as CERT_REQUIRED.
    return True


def _min_version(version: Any) -> str | None:
    """TLS 1.2 and 1.3 are spoken. Names of older versions meant "this or newer" to programs, and so they do here."""
    if version is None:
        return None
    import ssl

    if isinstance(version, str):
        name = version.upper().replace(".", "_")
        found: Any = _version_names(ssl).get(name.removeprefix("PROTOCOL_"))
    else:
        found = version if version in _version_names(ssl).values() else None
    if found is None:
        raise ValueError(f"ssl_version is {version!r}: it has to be an ssl.TLSVersion or one of ssl.PROTOCOL_…")
    return "1.3" if found in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.MAXIMUM_SUPPORTED) else None


def _version_names(ssl: Any) -> dict[str, Any]:
    """What `ssl` has names for, but what only servers speak."""
    protocols = {name[9:].upper(): getattr(ssl, name) for name in dir(ssl) if name.startswith("PROTOCOL_")}
    protocols.pop("TLS_SERVER", None)
    return {**protocols, **{version.name.upper(): version for version in ssl.TLSVersion}}
