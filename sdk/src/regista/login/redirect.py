"""Receive one answer of an issuer by way of the browser, on a loopback port."""

from __future__ import annotations

import hmac
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from regista.errors import NotConfigured, TimedOut

PATH = "/signed-in"
FIELDS = 20
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Regista</title>
<style>:root{{color-scheme:light dark}}
body{{font:1rem/1.5 system-ui,sans-serif;margin:4rem auto;max-width:34rem;padding:0 1rem}}</style>
<h1>{title}</h1><p>{text}</p></html>
"""
_RECEIVED = ("Continue in the terminal", "Regista has received the answer. You can close this page.")
_NOT_OURS = ("This is not the sign-in that waits", "Start again in the terminal: <code>regista login</code>.")
_NOTHING = ("Nothing is here", "This address receives the answer to one sign-in.")


class Redirect:
    """A server for the length of one sign-in.

    It takes the first answer with the right `state`; it refuses others and goes on waiting, so that no other
    program on this machine can end the sign-in or put its own code into it.
    """

    def __init__(self, state: str, port: int = 0) -> None:
        self._state = state
        self._answers: queue.Queue[dict[str, str]] = queue.Queue()
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # seconds for a request that does not come to its end

            def do_GET(self) -> None:
                status, page = receive(self.path)
                content = _PAGE.format(title=page[0], text=page[1]).encode()
                self.send_response(status)
                for name, value in _HEADERS.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Write nothing: a path contains the code."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as e:
            raise NotConfigured(
                "port_in_use",
                f"port {port} of 127.0.0.1 cannot be used: {e.strerror or e}",
                advice="Name another one that the issuer allows: --redirect-port.",
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The address to which the browser is sent back."""
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> dict[str, str]:
        """Return the fields of the answer. Raises TimedOut."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            raise TimedOut(
                "sign_in_timed_out",
                f"the browser sent no answer within {seconds:g} s",
                advice="Sign in again: `regista login`. If the browser is on another machine: "
                "`regista login --device`.",
            ) from None

    def _receive(self, path: str) -> tuple[int, tuple[str, str]]:
        """Return the status and the page for a request; keep its fields when it is the answer."""
        parts = urlsplit(path)
        if parts.path != PATH:
            return 404, _NOTHING
        try:
            fields = {name: found[0] for name, found in parse_qs(parts.query, max_num_fields=FIELDS).items()}
        except ValueError:
            return 400, _NOT_OURS
        if not hmac.compare_digest(fields.get("state", "").encode(), self._state.encode()):
            return 400, _NOT_OURS
        self._answers.put(fields)
        return 200, _RECEIVED
