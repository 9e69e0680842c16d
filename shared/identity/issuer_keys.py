"""Read the public keys of trusted issuers, and keep them in memory.

A request with a known key never waits for the network. Keys are read again every REFRESH seconds and, at a
limited rate, when a token names an unknown one. While an issuer is unreachable, the keys read last go on
working.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from prometheus_client import Gauge

from shared.deciding.issuers import Issuer
from shared.foundation.telemetry import error_summary
from shared.identity.tokens import IssuerKey, PublicKey

log = logging.getLogger(__name__)

REFRESH = 600.0
"""Seconds after which the keys of an issuer are read again."""
LOOK_AGAIN = 10.0
"""Seconds between two reads of one issuer: because of unknown keys, or after a failure."""
WITHIN = 5.0
"""Time limit of one read, in seconds: discovery document and keys together."""
LARGEST = 256 * 1024
"""Maximum size of a discovery document and of a set of keys, in bytes."""
MOST_KEYS = 100
POLL = 1.0
SMALLEST_RSA, LARGEST_RSA = 2048, 8192
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

AGE = Gauge(
    "regista_issuer_keys_age_seconds",
    "Time since the keys of a trusted issuer were last read: keys that it withdrew since still verify tokens",
    ["issuer"],
)


class Unreadable(Exception):  # noqa: N818 - the message is for the operator
    """The keys of an issuer cannot be read; the message states why."""


@dataclass(slots=True)
class _Known:
    """The keys of one issuer. `began`: when the last attempt to read them began."""

    keys: Mapping[str, IssuerKey] = field(default_factory=dict)
    read_at: float | None = None
    began: float | None = None
    reading: asyncio.Task[None] | None = None
    failed: bool = False


class IssuerKeys:
    """The keys of the issuers that `trusted` returns, which follows the log."""

    def __init__(
        self, trusted: Callable[[], Iterable[Issuer]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trusted = trusted
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._client: httpx.AsyncClient | None = None

    def has_read(self, issuer: Issuer) -> bool:
        """Return whether the keys of the issuer were ever read."""
        known = self._known.get(issuer.url)
        return known is not None and known.read_at is not None

    def find(self, issuer: Issuer, kid: str) -> IssuerKey | None:
        """Return a key of this issuer from memory."""
        known = self._known.get(issuer.url)
        return known.keys.get(kid) if known else None

    async def look_again(self, issuer: Issuer) -> None:
        """Read the keys again, for all callers, unless that was tried in the last LOOK_AGAIN seconds."""
        known = self._known.setdefault(issuer.url, _Known())
        if known.reading is None:
            if known.began is not None and self._clock() - known.began < LOOK_AGAIN:
                return
            self._begin(issuer, known)
        if known.reading is not None:
            await asyncio.wait({known.reading}, timeout=WITHIN)

    async def run(self) -> None:
        """Keep the keys of all trusted issuers fresh for the life of the process."""
        try:
            while True:
                self.refresh_due()
                await asyncio.sleep(POLL)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """End reads and connections."""
        for known in self._known.values():
            if known.reading is not None:
                known.reading.cancel()
        if self._client is not None:
            await self._client.aclose()

    def refresh_due(self) -> None:
        """Begin to read the keys that are due, and drop those of issuers that are not trusted any more."""
        now, trusted = self._clock(), {issuer.url: issuer for issuer in self._trusted()}
        for url in self._known.keys() - trusted.keys():
            if (reading := self._known.pop(url).reading) is not None:
                reading.cancel()
            with contextlib.suppress(KeyError):
                AGE.remove(url)
        for issuer in trusted.values():
            known = self._known.setdefault(issuer.url, _Known())
            AGE.labels(issuer.url).set(now - known.read_at if known.read_at is not None else float("inf"))
            after = LOOK_AGAIN if known.failed or known.read_at is None else REFRESH
            if known.reading is None and (known.began is None or now - known.began >= after):
                self._begin(issuer, known)

    def _begin(self, issuer: Issuer, known: _Known) -> None:
        known.began = self._clock()
        known.reading = asyncio.create_task(self._read_into(issuer, known))

    async def _read_into(self, issuer: Issuer, known: _Known) -> None:
        try:
            known.keys = await self.read(issuer.url)
        except Unreadable as why:
            if not known.failed:
                log.warning("the keys of %s cannot be read; known keys go on working (%s)", issuer.url, why)
            known.failed = True
        else:
            if known.failed:
                log.warning("the keys of %s can be read again", issuer.url)
            known.read_at, known.failed = self._clock(), False
        finally:
            known.reading = None

    async def read(self, url: str) -> Mapping[str, IssuerKey]:
        """Return the keys of an issuer by its discovery document. Raises Unreadable."""
        if self._client is None:
            system = ssl.create_default_context()  # not the list that httpx brings
            self._client = httpx.AsyncClient(follow_redirects=False, timeout=WITHIN, verify=system)
        discovery = url.rstrip("/") + "/.well-known/openid-configuration"
        try:
            async with asyncio.timeout(WITHIN):
                document = await _json(self._client, discovery)
                if document.get("issuer") != url:
                    raise Unreadable(f"{discovery} names another issuer than {url}")
                where = document.get("jwks_uri")
                if not isinstance(where, str) or not _may_be_read(where, url):
                    raise Unreadable(f"{discovery} names no jwks_uri that begins with https://")
                found = keys_of(await _json(self._client, where))
        except TimeoutError as late:
            raise Unreadable(f"no answer within {WITHIN:g} s") from late
        if not found:
            raise Unreadable(f"{where} has no key that may sign")
        return found


def _may_be_read(where: str, issuer: str) -> bool:
    """Return whether keys may be read there: by https, or on this machine for an issuer on this machine."""
    try:
        parts, own = urlsplit(where), urlsplit(issuer)
        local = parts.hostname in _LOOPBACK and own.hostname in _LOOPBACK and own.scheme == "http"
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    try:
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with client.stream("GET", url, headers=headers) as answer:
            if answer.status_code != 200:
                raise Unreadable(f"{url} answered {answer.status_code}")
            body = b""
            async for chunk in answer.aiter_raw():  # nothing is unpacked: a small answer stays small
                body += chunk
                if len(body) > LARGEST:
                    raise Unreadable(f"{url} answered more than {LARGEST} bytes")
        return msgspec.json.decode(body, type=dict[str, Any])
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreadable(f"{url}: {error_summary(error)}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(f"{url} answered no JSON object") from error


def keys_of(document: Mapping[str, Any]) -> dict[str, IssuerKey]:
    """Return the keys of a JWK set that may verify tokens, by `kid`. Others are left out."""
    found: dict[str, IssuerKey] = {}
    listed = document.get("keys")
    for jwk in listed[:MOST_KEYS] if isinstance(listed, list) else ():
        if isinstance(jwk, dict) and (key := _key(jwk)) is not None:
            found.setdefault(key.kid, key)
    return found


def _key(jwk: Mapping[str, Any]) -> IssuerKey | None:
    """Return a public key. None for every other kind, one for encryption, and one whose secret is shown."""
    kid, operations = jwk.get("kid"), jwk.get("key_ops")
    if not isinstance(kid, str) or not kid or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return None
    if operations is not None and (not isinstance(operations, list) or "verify" not in operations):
        return None
    try:
        key = _public_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    algorithm = jwk.get("alg")
    return IssuerKey(kid, key, algorithm if isinstance(algorithm, str) else "") if key else None


def _public_key(jwk: Mapping[str, Any]) -> PublicKey | None:
    match jwk.get("kty"):
        case "RSA":
            rsa = RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")})
            return rsa if SMALLEST_RSA <= rsa.public_key.key_size <= LARGEST_RSA else None
        case "EC":
            return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
        case _:
            return None
