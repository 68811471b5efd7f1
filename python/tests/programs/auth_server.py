"""An HTTP server that tells nsqd what the bearer of a secret may do: `python auth_server.py SECRET`."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse


class _Handler(BaseHTTPRequestHandler):
    secret = ""

    def do_GET(self) -> None:
        given = parse_qs(urlparse(self.path).query).get("secret", [""])[0]
        granted = {"topic": ".*", "channels": [".*"], "permissions": ["subscribe", "publish"]}
        answer = {
            "ttl": 3600,
            "identity": "tester",
            "identity_url": "http://tester.invalid",
            "authorizations": [granted] if given == self.secret else [],
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    _Handler.secret = sys.argv[1]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(f"127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
