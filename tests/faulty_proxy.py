"""A proxy in front of a real server that answers some requests as a failing server does."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OF_CONNECTIONS = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


@dataclass
class Fault:
    """What happens to the next `left` requests of this method whose path has `part`.

    `status` is answered; with `after`, only after the server has done what was requested. Status 0 closes
    the connection. `half`: the real answer ends in the middle of its body. `passes`: so many requests go
    through before.
    """

    method: str
    part: str
    status: int
    left: int = 1
    after: bool = False
    half: bool = False
    passes: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    then: threading.Event | None = None
    held: threading.Event = field(default_factory=threading.Event)


@dataclass
class FaultyProxy:
    """A running proxy."""

    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forward(self, request: BaseHTTPRequestHandler, target: str) -> None:
        request.close_connection = True
        method, path = request.command, request.path
        size = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(size)
        if len(body) < size:  # the client was killed: the server would wait for the rest
            return
        fault = self._next(method, path)
        if fault is not None and fault.then is not None:  # hold the request until the test lets it go on
            fault.held.set()
            fault.then.wait(60)
            fault = None
        if fault is not None and not (fault.after or fault.half):
            if fault.status:
                self._answer(request, fault.status, b"", fault.headers)
            return
        headers = {k: v for k, v in request.headers.items() if k.lower() not in {"host", "connection"}}
        with closing(http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)) as server:
            server.request(method, path, body=body, headers=headers)
            answer = server.getresponse()
            content = answer.read()
        if fault is not None and not fault.half:
            self._answer(request, fault.status, b"", fault.headers)
            return
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in _OF_CONNECTIONS}
        sent = len(content) // 2 if fault is not None else len(content)
        self._answer(request, answer.status, content, kept, sent)

    def _next(self, method: str, path: str) -> Fault | None:
        """Return the fault of a request, and count it."""
        with self.lock:
            fault = next((f for f in self.faults if f.left and f.method == method and f.part in path), None)
            if fault is not None and fault.passes:
                fault.passes -= 1
                return None
            if fault is not None:
                fault.left -= 1
            return fault

    @staticmethod
    def _answer(
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str],
        sent: int | None = None,
    ) -> None:
        """Answer. `sent`: the bytes of the body that leave before the connection closes."""
        request.send_response_only(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a client that was killed
            request.wfile.write(body[:sent])


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """Run a proxy of the server at `target`."""
    proxy = FaultyProxy()

    class Handler(BaseHTTPRequestHandler):
        timeout = 60

        def do_GET(self) -> None:
            proxy.forward(self, target)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names of http.server

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
