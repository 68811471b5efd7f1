"""An HTTP server that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]


@dataclass
class Scripted:
    """What to answer next and always, and what came."""

    status: int = 200
    content_type: str | None = "application/json; charset=utf-8"
    content: bytes = b"{}"
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        """`http[s]://host:port`."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def answers(self, content: bytes, status: int = 200, content_type: str | None = "application/json") -> None:
        """Sets what it answers."""
        self.status, self.content_type, self.content = status, content_type, content


@contextmanager
def scripted_http(pem: str | None = None) -> Iterator[Scripted]:
    """Runs one, in threads of its own (or what monkey-patching makes of them); over TLS with a certificate and its
    key."""
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.asked.append(Asked(self.requestline, headers, self.rfile.read(length), self.client_address))
            # The next answer may be set as soon as this one can be read.
            status, content_type, content = script.status, script.content_type, script.content
            self.send_response(status)
            if content_type is not None:
                self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.port = server.server_address[1]
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        script.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
