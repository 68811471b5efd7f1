"""An auth server, as nsqd asks one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

SECRET = "open sesame"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        grant = {"topic": ".*", "channels": [".*"], "permissions": ["subscribe", "publish"]}
        is_known = query.get("secret") == [SECRET]
        answer = {
            "ttl": 3600,
            "identity": "ali",
            "identity_url": "http://ali.example",
            "authorizations": [grant] if is_known else [],
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def auth_server() -> Iterator[str]:
    """The `host:port` of one that knows :data:`SECRET`."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
