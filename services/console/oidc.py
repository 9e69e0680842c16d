"""Sign in at an issuer that the log trusts: OpenID Connect, authorization code with PKCE.

The services verify the token themselves; the console gets it from the issuer's own address, and passes it on.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from regista.errors import RegistaError, Unauthorized, Unavailable
from services.console.calls import Calls

EARLY = 30.0
"""Seconds before its end at which a token is replaced."""
LONGEST_ANSWER = 256 * 1024
LONGEST_TOKEN = 24 * 3600
"""Seconds after which a token is replaced, whatever the issuer states."""
WITHIN = 10.0
"""Seconds in which an issuer has to answer."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
KEEP_DOCUMENT = 600.0


@dataclass(frozen=True, slots=True)
class Issuer:
    """What the registry states about a trusted issuer."""

    url: str
    client_id: str
    scopes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The host of the issuer, as the sign-in shows it."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that waits for the browser to come back from the issuer."""

    issuer: Issuer
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def challenge(self) -> str:
        """The S256 challenge of PKCE."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(slots=True)
class Tokens:
    """The tokens of a person. They stay in this process."""

    issuer: Issuer
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    until: float
    renewing: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def old(self) -> bool:
        return time.monotonic() > self.until - EARLY


async def trusted(calls: Calls) -> list[Issuer]:
    """Return the issuers at which people sign in; none while the registry names none."""
    try:
        found = await calls.get("registry", "/sign-in")
    except RegistaError:
        return []
    return [Issuer(one["issuer"], one["client_id"], tuple(one["scopes"])) for one in found["issuers"]]


class Issuers:
    """The issuers' own addresses, read from their documents."""

    def __init__(self, http: httpx.AsyncClient, back: str) -> None:
        self._http, self._back = http, back
        self._documents: dict[str, tuple[float, Mapping[str, Any]]] = {}

    async def address(self, begun: Begun) -> str:
        """Return where the browser goes to sign in. Raises Unavailable."""
        document = await self._document(begun.issuer)
        query = {
            "response_type": "code",
            "client_id": begun.issuer.client_id,
            "redirect_uri": self._back,
            "scope": " ".join(begun.issuer.scopes),
            "state": begun.state,
            "code_challenge": begun.challenge,
            "code_challenge_method": "S256",
        }
        where = str(document["authorization_endpoint"])
        return f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"

    async def sent_back(self, begun: Begun, issuer: str) -> bool:
        """Return whether the browser comes from the issuer of this sign-in, by the `iss` of its address.

        Only an issuer whose document does not announce `iss` may leave it out (RFC 9207). Raises Unavailable.
        """
        if issuer:
            return issuer == begun.issuer.url
        document = await self._document(begun.issuer)
        return document.get("authorization_response_iss_parameter_supported") is not True

    async def redeem(self, begun: Begun, code: str) -> Tokens:
        """Return the tokens for the code that the issuer gave to the browser. Raises RegistaError."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": begun.verifier,
        }
        return await self._tokens(begun.issuer, form)

    async def renew(self, tokens: Tokens) -> None:
        """Replace tokens that end soon. Raises Unauthorized when the person has to sign in again.

        A renewal completes even when the requests that wait for it are cancelled: a refresh token may work
        only once.
        """
        if tokens.renewing is None or tokens.renewing.done():
            if not tokens.old:
                return
            tokens.renewing = asyncio.create_task(self._renew(tokens))
        await asyncio.shield(tokens.renewing)

    async def revoke(self, tokens: Tokens) -> None:
        """Let the issuer end what the person signed out of (RFC 7009), where it can. Raises RegistaError."""
        endpoint = (await self._document(tokens.issuer)).get("revocation_endpoint")
        if tokens.refresh and _is_address(endpoint, tokens.issuer):
            form = {"token": tokens.refresh, "token_type_hint": "refresh_token"}
            await self._sent(
                tokens.issuer, "POST", str(endpoint), form | {"client_id": tokens.issuer.client_id}
            )

    async def _renew(self, tokens: Tokens) -> None:
        if not tokens.refresh:
            raise _ended()
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
        got = await self._tokens(tokens.issuer, form)
        tokens.access, tokens.until = got.access, got.until
        tokens.refresh = got.refresh or tokens.refresh

    async def _tokens(self, issuer: Issuer, form: Mapping[str, str]) -> Tokens:
        document = await self._document(issuer)
        answer = await self._json(
            issuer, "POST", str(document["token_endpoint"]), {**form, "client_id": issuer.client_id}
        )
        access, lasts = answer.get("access_token"), answer.get("expires_in")
        if not _is_token(access) or str(answer.get("token_type", "")).lower() != "bearer":
            raise _ended()
        seconds = float(min(max(lasts, 0), LONGEST_TOKEN)) if isinstance(lasts, int | float) else 60.0
        return Tokens(issuer, access, str(answer.get("refresh_token") or ""), time.monotonic() + seconds)

    async def _document(self, issuer: Issuer) -> Mapping[str, Any]:
        """Return the issuer's document. Raises Unavailable when it is another issuer's, or cannot be read."""
        read, document = self._documents.get(issuer.url, (0.0, {}))
        if document and time.monotonic() - read < KEEP_DOCUMENT:
            return document
        where = f"{issuer.url.rstrip('/')}/.well-known/openid-configuration"
        document = await self._json(issuer, "GET", where)
        named = [document.get(name) for name in ("authorization_endpoint", "token_endpoint")]
        if document.get("issuer") != issuer.url or not all(_is_address(one, issuer) for one in named):
            problem = "names another one, or endpoints that do not begin with https://"
            raise Unavailable("issuer_unusable", f"The document of the issuer {issuer.url} {problem}.")
        self._documents[issuer.url] = (time.monotonic(), document)
        return document

    async def _json(
        self, issuer: Issuer, method: str, url: str, form: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        answer, body = await self._sent(issuer, method, url, form)
        try:
            found = msgspec.json.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _unreachable(issuer, error) from error
        if answer.status_code >= 500 or not isinstance(found, dict):
            raise Unavailable("issuer_unusable", f"The issuer {issuer.url} answered {answer.status_code}.")
        if not answer.is_success:
            raise _ended()
        return found

    async def _sent(
        self, issuer: Issuer, method: str, url: str, form: Mapping[str, str] | None = None
    ) -> tuple[httpx.Response, bytes]:
        """Return the answer and its body, of a limited length. Raises Unavailable."""
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        try:
            async with (
                asyncio.timeout(WITHIN),
                self._http.stream(method, url, data=form, headers=headers) as answer,
            ):
                body = bytearray()
                async for chunk in answer.aiter_raw():  # nothing is unpacked: a small answer stays small
                    body += chunk
                    if len(body) > LONGEST_ANSWER:
                        raise Unavailable("issuer_unusable", f"The answer of {issuer.url} is too long.")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            raise _unreachable(issuer, error) from error
        return answer, bytes(body)


def _unreachable(issuer: Issuer, error: Exception) -> Unavailable:
    detail = f"The issuer {issuer.url} does not answer ({type(error).__name__})."
    return Unavailable("issuer_unreachable", detail)


def _is_token(text: object) -> TypeGuard[str]:
    """Return whether the text can be sent in a header."""
    return isinstance(text, str) and bool(text) and text.isascii() and text.isprintable()


def _is_address(text: object, issuer: Issuer) -> bool:
    """Return whether the text is a URL with TLS, or one on this machine of an issuer on this machine."""
    if not isinstance(text, str):
        return False
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
        local = host in _LOOPBACK and urlsplit(issuer.url).hostname in _LOOPBACK
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and local))


def _ended() -> Unauthorized:
    ended = Unauthorized("sign_in_ended", "The issuer gave no token: sign in again.")
    ended.status = 401
    return ended
