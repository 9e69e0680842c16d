"""A proxy in front of a real server that answers as a busy, breaking or absent one does."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PIECE = 1 << 16


@dataclass
class Proxy:
    """What the proxy does: by the part of a path, how often it is busy or breaks off, and when it is gone.

    `busy` answers 429; `breaks` sends half of the body; `gone_after` closes every connection after so many
    requests whose path has the part.
    """

    url: str = ""
    busy: dict[str, int] = field(default_factory=dict)
    breaks: dict[str, int] = field(default_factory=dict)
    gone_after: dict[str, int] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def forward(self, request: BaseHTTPRequestHandler, target: str) -> None:
        """Answer one request. A connection that closes without an answer is that of a server that is gone."""
        self.seen.append(request.path)
        request.close_connection = True
        if any(left <= 0 for left in self.gone_after.values()):
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        self._count(self.gone_after, request.path)
        if self._count(self.busy, request.path):
            request.send_response(429)
            request.send_header("Retry-After", "3")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        with closing(http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)) as source:
            source.request("GET", request.path, headers={"Host": urlsplit(target).netloc})
            answer = source.getresponse()
            body = answer.read()
        request.send_response(answer.status)
        request.send_header("Content-Type", answer.headers.get("Content-Type", ""))
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        breaks = self._count(self.breaks, request.path)
        request.wfile.write(body[: len(body) // 2] if breaks else body)

    @staticmethod
    def _count(faults: dict[str, int], path: str) -> bool:
        """Return whether a fault is left for the path, and count it."""
        for part, left in faults.items():
            if part in path and left > 0:
                faults[part] = left - 1
                return True
        return False


@contextmanager
def proxy_of(target: str) -> Iterator[Proxy]:
    """Run a proxy of the server at `target`."""
    proxy = Proxy()

    class Handler(BaseHTTPRequestHandler):
        timeout = 60

        def do_GET(self) -> None:
            proxy.forward(self, target)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # closing it waits for the requests that it forwards
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
