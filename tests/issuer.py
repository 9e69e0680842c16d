"""A small issuer of tokens over HTTP: discovery document, keys, and tokens with any header and claims."""

from __future__ import annotations

import base64
import contextlib
import functools
import hmac
import http.server
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "regista"


@functools.cache
def rsa_key(number: int = 0) -> RSAKey:
    """Return a key; making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": f"rsa-{number}"})


def ec_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})


@dataclass
class HttpIssuer:
    """An issuer on this machine. `keys` are those that it shows; it signs with the first.

    `asked` counts requests by path. `answers` replaces the answer of a path: status, headers, body.
    """

    port: int = 0
    keys: list[Any] = field(default_factory=lambda: [ec_key("first")])
    clock: Callable[[], float] = time.time
    asked: Counter[str] = field(default_factory=Counter)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    _server: http.server.ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/realms/acme"

    def start(self) -> None:
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked[self.path] += 1
                status, headers, body = issuer.answers.get(self.path) or issuer.answer(self.path)
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """End it; `start` begins again on the same port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return what the issuer answers."""
        found: Any = None
        if path == "/realms/acme/.well-known/openid-configuration":
            found = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path == "/realms/acme/keys":
            found = {"keys": [key.as_dict(private=False) for key in self.keys]}
        return (200 if found else 404), {}, json.dumps(found).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a valid token. What is None is left out."""
        now = int(self.clock())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 300} | changed
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        """Return a token signed by `key`, else by the issuer's first key."""
        key = key or self.keys[0]
        algorithm = {"EC": "ES256", "RSA": "RS256"}[key.key_type]
        head = {"alg": algorithm, "kid": key.kid} | (header or {})
        registry = jwt.JWSRegistry(algorithms=["ES256", "RS256"], strict_check_header=False)
        return jwt.encode(head, self.claims(**claims), key, registry=registry)


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[HttpIssuer]:
    """Run an issuer for a block."""
    issuer = HttpIssuer(**settings)
    issuer.start()
    try:
        yield issuer
    finally:
        issuer.stop()


def signed_with_public_key(key: RSAKey, claims: dict[str, Any]) -> str:
    """Return a token whose HMAC has the public key as its secret: no secret of the issuer is needed."""
    head = {"alg": "HS256", "kid": key.kid}
    text = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
    return f"{text}.{_encoded(hmac.digest(key.as_pem(private=False), text.encode(), 'sha256'))}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
