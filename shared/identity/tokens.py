"""Verify tokens of people and of jobs (JWT, RFC 7519) against the keys of a trusted issuer. Reads no network.

The header chooses only among what is pinned: an algorithm of the issuer's list, a key of its own set. Keys
and addresses of keys in the header (`jwk`, `jku`, `x5u`, `x5c`) are never read.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError, MissingClaimError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from shared.deciding.issuers import Issuer, account_of

LARGEST = 16 * 1024
"""Maximum length of a token in bytes."""
LEEWAY = 30
"""Seconds by which the clocks of an issuer and of this machine may differ."""
LONGEST_LIFE = 24 * 3600
"""Maximum time between `iat` and `exp` in seconds: who leaves a group keeps its roles no longer."""
MOST_GROUPS = 1_000
"""Groups of one token that are read."""
_TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_LATEST = 253_402_300_799
"""The last second of the year 9999."""

PublicKey = RSAKey | ECKey


class TokenRefused(Exception):  # noqa: N818 - it is the answer
    """The token is none of a trusted issuer, or not valid now. The message is for its sender."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key of an issuer. `algorithm` is the only one it may verify, "" for every one of its type."""

    kid: str
    key: PublicKey
    algorithm: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a token claims before anything is verified: whose key would have to verify it."""

    issuer: str
    kid: str
    algorithm: str


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token. `account` is the keyed hash of issuer and `sub`, `issuer` the key of the issuer."""

    issuer: str
    account: str
    issued_at: datetime
    expires_at: datetime
    groups: tuple[str, ...] = ()
    name: str = ""
    auth_time: datetime | None = None
    acr: str = ""
    amr: tuple[str, ...] = ()


class _Registry(JWSRegistry):
    """Headers of any size below LARGEST: some issuers send certificates. What is unknown is ignored."""

    max_header_length = LARGEST
    max_payload_length = LARGEST
    max_signature_length = LARGEST


def is_token(text: str) -> bool:
    """Return whether a bearer credential has the form of a token. An API key has not."""
    return text.count(".") == 2 and not text.startswith("rg_")


def claimed(text: str) -> Claimed:
    """Return which key a token names. Raises TokenRefused for what is no signed token."""
    if len(text) > LARGEST:
        raise TokenRefused(f"The token is longer than {LARGEST} bytes: the issuer must send fewer claims.")
    if not _COMPACT.fullmatch(text):
        raise TokenRefused("The token is no signed JSON Web Token: send an access token.")
    head, body, _ = text.split(".")
    header, payload = _decoded(head), _decoded(body)
    algorithm, kid, issuer = header.get("alg"), header.get("kid"), payload.get("iss")
    if not isinstance(algorithm, str) or not isinstance(issuer, str):
        raise TokenRefused("The token has no `alg` or no `iss`: send an access token of a trusted issuer.")
    if not isinstance(kid, str) or not kid:
        raise TokenRefused("The header of the token names no key (`kid`): the issuer must send it.")
    if not header.keys().isdisjoint({"crit", "b64"}) or str(header.get("typ") or "").lower() not in _TYPES:
        raise TokenRefused("The token is of another type: send an access token (`at+jwt` or `JWT`).")
    return Claimed(issuer, kid, algorithm)


def verified(text: str, issuer: Issuer, key: IssuerKey, pepper: str, now: datetime) -> Token:
    """Return what a token of this issuer states. Raises TokenRefused unless the key verifies it, now."""
    return _token(verified_claims(text, issuer, key, now), issuer, pepper)


def verified_claims(text: str, issuer: Issuer, key: IssuerKey, now: datetime) -> Mapping[str, Any]:
    """Return the claims of a token of this issuer. Raises TokenRefused unless the key verifies it, now."""
    algorithm = claimed(text).algorithm
    if algorithm not in issuer.algorithms or key.algorithm not in {"", algorithm}:
        raise TokenRefused(f"Tokens of this issuer are signed with {', '.join(issuer.algorithms)}, not so.")
    registry = _Registry(algorithms=[algorithm], strict_check_header=False)
    checks = jwt.JWTClaimsRegistry(
        int(now.timestamp()),
        LEEWAY,
        iss={"essential": True, "value": issuer.url},
        aud={"essential": True, "value": issuer.audience},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        claims = jwt.decode(text, key.key, [algorithm], registry).claims
        checks.validate(claims)
    except ExpiredTokenError as expired:
        raise TokenRefused("The token has expired: get another one from the issuer.") from expired
    except MissingClaimError as missing:
        raise TokenRefused(
            "The token lacks one of iss, aud, sub, exp and iat: the issuer must send them."
        ) from missing
    except (JoseError, ValueError, TypeError, OverflowError, RecursionError) as wrong:
        raise TokenRefused(_why(wrong, issuer)) from wrong
    life_of(claims)
    return claims


def life_of(claims: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return when a token was issued and when it ends. Raises TokenRefused for a life that is too long."""
    issued_at, expires_at = _moment(claims["iat"]), _moment(claims["exp"])
    if issued_at is None or expires_at is None:
        raise TokenRefused("The times of the token are no numbers of seconds.")
    if (expires_at - issued_at).total_seconds() > LONGEST_LIFE:
        raise TokenRefused(
            f"The token lasts more than {LONGEST_LIFE // 3600} hours: the issuer must end it earlier."
        )
    if len(claims["sub"]) > 255:
        raise TokenRefused("`sub` has more than 255 characters.")
    return issued_at, expires_at


def _why(wrong: Exception, issuer: Issuer) -> str:
    claim = getattr(wrong, "claim", "")
    if claim == "aud":
        return f"The token is for another audience: request one for {issuer.audience!r}."
    if claim in {"nbf", "iat"}:
        return "The token is not valid yet: the clock of its issuer may be ahead."
    return "The token is not valid: its signature or a claim is wrong."


def _token(claims: Mapping[str, Any], issuer: Issuer, pepper: str) -> Token:
    issued_at, expires_at = life_of(claims)
    acr = claims.get("acr")
    return Token(
        issuer.key,
        account_of(pepper, issuer.url, claims["sub"]),
        issued_at,
        expires_at,
        _texts(claims.get(issuer.groups_claim)),
        _name(claims),
        _moment(claims.get("auth_time")),
        acr[:200] if isinstance(acr, str) else "",
        _texts(claims.get("amr"))[:20],
    )


def _moment(seconds: object) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if not 0 < seconds <= _LATEST:  # neither NaN nor infinity
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _texts(value: object) -> tuple[str, ...]:
    """Return the texts of a claim that is a text or a list; what is none, or longer than 200, is left out."""
    listed = value if isinstance(value, list) else [value]
    return tuple(one for one in listed[:MOST_GROUPS] if isinstance(one, str) and 0 < len(one) <= 200)


def _name(claims: Mapping[str, Any]) -> str:
    """Return the name for the directory: `name`, else `preferred_username`, when people can read it."""
    for claim in ("name", "preferred_username"):
        value = claims.get(claim)
        if isinstance(value, str) and (name := value.strip()) and len(name) <= 200 and name.isprintable():
            return name
    return ""


def _decoded(part: str) -> dict[str, Any]:
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (binascii.Error, ValueError, RecursionError) as wrong:
        raise TokenRefused("The token is no signed JSON Web Token: send an access token.") from wrong
