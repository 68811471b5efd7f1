"""What the clients of the HTTP APIs of nsqd and nsqlookupd have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from . import _core, _http_call, _lifecycle, _modes, _options, _tls
from ._address import bare_host, join_host_port
from ._http_call import Call
from .version import __version__

__all__ = ["HTTPClient"]

#: What clients call themselves unless told otherwise.
USERAGENT = f"gnsq/{__version__}"

T = TypeVar("T")
_Self = TypeVar("_Self", bound="HTTPConnection")


class HTTPConnection:
    """Where a server is and how it is spoken to: all but how one waits for its answers."""

    #: The server's usual port.
    default_port = 80

    def __init__(
        self,
        host: str = "localhost",
        port: int | None = None,
        useragent: str = USERAGENT,
        *,
        timeout: float | None = 5.0,
        scheme: str | None = None,
        path: str = "/",
        tls_options: Mapping[str, Any] | None = None,
        **tls: Any,
    ) -> None:
        """Nothing is connected yet. For the arguments see :class:`HTTPClient`."""
        unknown = tls.keys() - _tls.NAMES
        if unknown:
            raise TypeError(f"unknown option of {type(self).__name__}: {', '.join(sorted(unknown))}")
        given = {**(tls_options or {}), **{name: value for name, value in tls.items() if value is not None}}
        if scheme is None:
            scheme = "https" if given else "http"
        if scheme not in ("http", "https"):
            raise ValueError(f"the scheme is {scheme!r}: it has to be 'http' or 'https'")
        if given and scheme == "http":
            raise ValueError(f"TLS options are given ({', '.join(sorted(given))}), and http knows no TLS: use https")
        if not host or any(character in "/?#@" or character.isspace() for character in host):
            raise ValueError(f"{host!r} is no host")
        self.scheme = scheme
        self.host = bare_host(host)
        self.port = self.default_port if port is None else int(port)
        self.useragent = useragent
        self.timeout = timeout
        self._prefix, question, query = path.partition("?")
        # It goes with every request, may be a secret, and is shown nowhere.
        self._query = question + query
        self._tls = _tls.parse(given) if scheme == "https" else None
        self._connect()

    @classmethod
    def from_url(cls: type[_Self], url: str, **kwargs: Any) -> _Self:
        """A client of the server at `"http[s]://host:port"`; without a port: 80 or 443, as elsewhere. A path is put
        before that of each request::

            LookupdClient.from_url("http://localhost:4161", timeout=1)

        :raises ValueError: for what is no such URL
        """
        return cls(**{**url_parts(url), **kwargs})

    @property
    def address(self) -> str:
        """The server's URL: `"http://host:port/"`."""
        prefix = self._prefix.strip("/")
        return f"{self.scheme}://{join_host_port(self.host, self.port)}/{prefix}{'/' if prefix else ''}"

    def _connect(self) -> None:
        self._generation = _lifecycle.generation()
        self._native = _core.HttpClient(
            self.address + self._query,
            user_agent=self.useragent,
            timeout=self.timeout or _options.NO_TIMEOUT,
            tls=self._tls,
        )

    def _connections(self) -> _core.HttpClient:
        if self._generation != _lifecycle.generation():
            # A fork's child has connections of its own: nothing else is kept between requests.
            self._connect()
        return self._native

    def _begin(self, call: Call[T]) -> _core.Operation:
        return self._connections().request(call.method, call.path, call.query, call.body)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} can't be pickled: make one where it is used, from its address")


class HTTPClient(HTTPConnection):
    """A client of an HTTP API: the base of :class:`~gnsq.NsqdHTTPClient` and :class:`~gnsq.LookupdClient`.

    Connections are kept and used again. Any thread or greenlet may call it, and only the caller waits.

    :param host: the server's name or address
    :param port: its port
    :param useragent: what the client calls itself
    :param timeout: how many seconds a request may take, connecting included; None and 0: any number
    :param scheme: `"http"` or `"https"`; by default https where there are TLS options
    :param path: what the API's paths begin with, for one behind a proxy
    :param tls_options: as of the connections to nsqd. What `ssl.wrap_socket` takes may also be given one by one:
        `ca_certs`, `certfile`, `keyfile`, `cert_reqs`, `ssl_version`; so may `server_hostname` and
        `insecure_skip_verify`. Without any, https verifies the server against the system's roots
    :raises ValueError: for an address or an option that can't be used
    """

    def ping(self) -> bytes:
        """Makes sure that the server is there and well: `b"OK"`."""
        return self._call(_http_call.ping())

    def info(self) -> Any:
        """What the server tells of itself: its version, and more of nsqd."""
        return self._call(_http_call.info())

    def _call(self, call: Call[T]) -> T:
        """Sends a request and waits for its answer.

        :raises NSQHttpError: for any status but 200
        :raises NSQSocketError: when the server can't be reached, or gives no answer in time
        """
        operation = self._begin(call)
        try:
            _modes.current().wait(operation)
        except BaseException:
            operation.cancel()
            raise
        return call.parse(operation.result())


def url_parts(url: str) -> dict[str, Any]:
    """What a URL says of a client's arguments.

    :raises ValueError: for what is no URL of a server
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of the form http[s]://host:port")
    if "@" in parts.netloc:
        raise ValueError("the URL of a server must have no user or password in it")
    return {
        "host": parts.hostname,
        "port": parts.port if parts.port is not None else {"http": 80, "https": 443}[parts.scheme],
        "scheme": parts.scheme,
        "path": f"{parts.path}?{parts.query}" if parts.query else parts.path,
    }
