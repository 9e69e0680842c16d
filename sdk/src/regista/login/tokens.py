"""The tokens of a sign-in: received, checked, refreshed and revoked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from regista.errors import Forbidden, Unauthorized
from regista.login.issuers import Offered, Provider
from regista.login.requests import RefusedByIssuer, document, form

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Of ID tokens. All are signatures: with a shared secret, the client could have made the token itself."""
LEEWAY = 60  # seconds between the clocks
EARLY = 60.0  # seconds before its end at which an access token is replaced
UNSTATED = 300.0  # seconds that an access token is used when the issuer does not state its length
AGAIN = "Sign in again: `regista login`."


class Tokens(msgspec.Struct, frozen=True):
    """What is kept of a sign-in. Times are seconds since 1970."""

    issuer: str
    client_id: str
    token_endpoint: str
    revocation_endpoint: str
    access_token: str
    expires_at: float
    lifetime: float
    refresh_token: str = ""

    def fresh(self, now: float) -> bool:
        """Return whether the access token need not be replaced yet."""
        return is_fresh(self.expires_at, self.lifetime, now)

    def valid(self, now: float) -> bool:
        """Return whether services still accept the access token."""
        return now < self.expires_at


def is_fresh(expires_at: float, lifetime: float, now: float) -> bool:
    """Return whether what lasts so many seconds need not be replaced yet."""
    return now < expires_at - min(EARLY, lifetime / 2)


def received(
    http: httpx.Client, provider: Provider, client: Offered, fields: Mapping[str, str], nonce: str = ""
) -> Tokens:
    """Exchange a code for tokens, and check the ID token. Raises RefusedByIssuer and RegistaError."""
    answer = form(http, provider.token, {"client_id": client.client_id, **fields}, provider.issuer)
    _check(http, provider, client.client_id, str(answer.get("id_token") or ""), nonce)
    empty = Tokens(provider.issuer, client.client_id, provider.token, provider.revocation, "", 0.0, 0.0)
    return _with(empty, answer)


def refreshed(http: httpx.Client, tokens: Tokens) -> Tokens:
    """Return new tokens. Raises Unauthorized when the sign-in has ended, Unavailable for the moment."""
    ended = f"your sign-in with {tokens.issuer} has ended"
    if not tokens.refresh_token:
        raise Unauthorized("sign_in_ended", ended, advice=AGAIN)
    fields = {
        "grant_type": "refresh_token",
        "refresh_token": tokens.refresh_token,
        "client_id": tokens.client_id,
    }
    try:
        answer = form(http, tokens.token_endpoint, fields, tokens.issuer)
    except RefusedByIssuer as refused:
        raise Unauthorized("sign_in_ended", f"{ended} ({refused})", advice=AGAIN) from None
    return _with(tokens, answer)


def revoke(http: httpx.Client, tokens: Tokens) -> bool:
    """Revoke the refresh token. Return False when the issuer cannot do it. Raises Unavailable."""
    if not tokens.revocation_endpoint or not tokens.refresh_token:
        return False
    fields = {
        "token": tokens.refresh_token,
        "token_type_hint": "refresh_token",
        "client_id": tokens.client_id,
    }
    try:
        form(http, tokens.revocation_endpoint, fields, tokens.issuer)
    except RefusedByIssuer:
        return False
    return True


def _with(tokens: Tokens, answer: Mapping[str, Any]) -> Tokens:
    access, kind = answer.get("access_token"), str(answer.get("token_type", "")).lower()
    if not isinstance(access, str) or not access or kind != "bearer":
        raise Forbidden(
            "no_access_token",
            f"the issuer {tokens.issuer} issued no bearer token",
            advice="Report it to an admin: its client for Regista is set up in another way.",
        )
    stated = answer.get("expires_in")
    seconds = float(stated) if isinstance(stated, int | float) and stated > 0 else UNSTATED
    return msgspec.structs.replace(
        tokens,
        access_token=access,
        lifetime=seconds,
        expires_at=time.time() + seconds,
        refresh_token=str(answer.get("refresh_token") or tokens.refresh_token),
    )


def _check(http: httpx.Client, provider: Provider, client_id: str, id_token: str, nonce: str) -> None:
    """Raise Unauthorized unless the ID token is this issuer's, for this client and this sign-in."""
    from joserfc import jwt  # noqa: PLC0415 - a client with a kept sign-in does without it
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import KeySet  # noqa: PLC0415

    keys = document(http, provider.keys, f"the issuer {provider.issuer}")
    claims: dict[str, Any] = {
        "iss": {"essential": True, "value": provider.issuer},
        "aud": {"essential": True, "value": client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    if nonce:
        claims["nonce"] = {"essential": True, "value": nonce}
    try:
        token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=ALGORITHMS)  # type: ignore[arg-type]
        jwt.JWTClaimsRegistry(leeway=LEEWAY, **claims).validate(token.claims)
    except (JoseError, ValueError, KeyError, TypeError) as e:
        raise _refused(provider.issuer, str(e) or type(e).__name__) from None
    if token.claims.get("azp", client_id) != client_id:
        raise _refused(provider.issuer, "it is for another client")


def _refused(issuer: str, why: str) -> Unauthorized:
    return Unauthorized(
        "id_token_refused",
        f"the ID token of {issuer} was not accepted: {why}",
        advice="Check this machine's clock, then sign in again. If it stays, report it to an admin.",
    )
