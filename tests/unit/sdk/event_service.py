"""A service of public events whose connections break off where a test wants it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from regista.wire.cloudevents import CloudEvent
from regista.wire.dsse import SigningKey, generate_signing_key, sign
from regista.wire.event_feed import cursor_of, position_of, to_json

KEY = generate_signing_key("service:registry")


def event(number: int, key: SigningKey = KEY, **changes: Any) -> CloudEvent:
    """Return the signed public event number `number` of two streams."""
    data = {"model": "fraud.scoring", "model_id": "m", "number": number, **changes.pop("data", {})}
    extensions = {
        "partitionkey": f"model-{number % 2}",
        "recordedtime": f"2026-03-01T12:{number:02}:00Z",
        "revision": str(number // 2 + 1),
        "leaf": "ab",
    }
    given = {"source": "/regista/registry", "type": "regista.registry.VersionValidated.v1"} | changes
    return sign(
        CloudEvent(
            f"id-{number}",
            subject=f"model-{number % 2}",
            time="2026-03-01T12:00:00Z",
            data=json.dumps(data, sort_keys=True).encode(),
            extensions=extensions,
            **given,
        ),
        key,
    )


def key_of(key: SigningKey, **more: Any) -> dict[str, Any]:
    """Return the public key as the registry lists it."""
    listed = {"kid": key.key_id, "subject": key.subject, "public_key": key.public.hex(), "valid_until": None}
    return listed | {"compromised": False} | more


@dataclass
class EventService:
    """Sends `events` behind the last id, then `end`. The n-th connection breaks after `cuts[n]` bytes."""

    events: list[CloudEvent] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    end: str = "caught_up"
    keys: list[dict[str, Any]] = field(default_factory=lambda: [key_of(KEY)])
    refusals: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def body(self, begun: str) -> bytes:
        start = position_of(begun).get(("registry", 0), 0) if begun else 0
        frames = [b": hello\n\n", f"id: {_cursor(start)}\n: waiting\n\n".encode()]
        for number, one in enumerate(self.events[start:], start + 1):
            frames.append(f"id: {_cursor(number)}\n".encode() + b"data: " + to_json(one) + b"\n\n")
        last = json.dumps({"code": self.end, "detail": "it ends"})
        return b"".join([*frames, f"event: end\nid: {_cursor(len(self.events))}\ndata: {last}\n\n".encode()])

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        if parts.path.endswith("/keys"):
            _send(request, 200, "application/json", json.dumps({"keys": self.keys}).encode())
        elif not parts.path.endswith("/public-events"):
            services = dict.fromkeys(("registry", "audit"), self.url)
            _send(request, 200, "application/json", json.dumps({"services": services}).encode())
        else:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.requests.append((dict(parse_qsl(parts.query)), headers))
            if self.refusals:
                problem = {"code": "refused_here", "detail": "it is refused"}
                status = self.refusals.pop(0)
                _send(request, status, "application/problem+json", json.dumps(problem).encode())
                return
            self._stream(request, headers.get("last-event-id", ""))

    def _stream(self, request: BaseHTTPRequestHandler, begun: str) -> None:
        body = self.body(begun)
        cut = self.cuts.pop(0) if self.cuts else None
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[:cut])
        if cut is not None and cut < len(body):
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)
            request.close_connection = True


def _cursor(offset: int) -> str:
    return cursor_of({("registry", 0): offset})


def _send(request: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def serving(service: EventService) -> Iterator[EventService]:
    """Serve on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            service.answer(self)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
