"""Find the issuer: which issuers the registry trusts, and the endpoints of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from regista.errors import NotConfigured
from regista.login.requests import document

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OPENID = "openid"
SIGN_IN = "/v1/sign-in"


@dataclass(frozen=True, slots=True)
class Offered:
    """An issuer that the registry trusts, and as which client a person signs in there."""

    issuer: str
    client_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provider:
    """The endpoints of an issuer, as it publishes them. Empty: it has none.

    `names_itself`: its answers to a browser name the issuer (RFC 9207).
    """

    issuer: str
    authorization: str
    token: str
    keys: str
    device: str = ""
    revocation: str = ""
    names_itself: bool = False


def offered(http: httpx.Client, registry: str) -> list[Offered]:
    """Return the issuers that the registry trusts. Raises RegistaError."""
    found = document(http, f"{registry}{SIGN_IN}", f"the registry at {registry}").get("issuers")
    try:
        return msgspec.convert(found, list[Offered])
    except msgspec.ValidationError:
        raise NotConfigured(
            "not_regista", f"{registry}{SIGN_IN} lists no issuers: is this the registry's URL?"
        ) from None


def chosen(issuers: Sequence[Offered], wanted: str) -> Offered:
    """Return the issuer to sign in with: the wanted one, else the only one. Raises NotConfigured."""
    names = ", ".join(one.issuer for one in issuers)
    if not issuers:
        raise NotConfigured(
            "no_issuer",
            "the registry trusts no issuer, so people cannot sign in",
            advice="An admin adds one: `regista access issuer trust`. Until then, use an API key.",
        )
    found = [one for one in issuers if one.issuer.rstrip("/") == wanted.rstrip("/")] if wanted else issuers
    if not found:
        raise NotConfigured(
            "unknown_issuer",
            f"the registry does not trust the issuer {wanted}; it trusts: {names}",
            advice="Name one of these with --issuer.",
        )
    if len(found) > 1:
        raise NotConfigured(
            "several_issuers",
            f"the registry trusts several issuers: {names}",
            advice="Name the one of your organisation with --issuer.",
        )
    return found[0]


def provider(http: httpx.Client, issuer: str) -> Provider:
    """Return the endpoints of an issuer from its discovery document. Raises RegistaError."""
    _secure(issuer, issuer)
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    found = document(http, url, f"the issuer {issuer}")
    if found.get("issuer") != issuer:
        raise NotConfigured(
            "wrong_issuer",
            f"{url} is the document of another issuer: {found.get('issuer')}",
            advice="Report it to an admin of the registry: the issuer is not trusted under its own name.",
        )
    return Provider(
        issuer,
        _endpoint(found, "authorization_endpoint", issuer),
        _endpoint(found, "token_endpoint", issuer),
        _endpoint(found, "jwks_uri", issuer),
        _endpoint(found, "device_authorization_endpoint", issuer, needed=False),
        _endpoint(found, "revocation_endpoint", issuer, needed=False),
        found.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(found: dict[str, Any], name: str, issuer: str, *, needed: bool = True) -> str:
    url = found.get(name)
    if isinstance(url, str) and url:
        _secure(url, issuer)
        return url
    if needed:
        raise NotConfigured(
            "issuer_incomplete",
            f"the discovery document of {issuer} has no {name}",
            advice="Report it to an admin of the registry: people cannot sign in with this issuer.",
        )
    return ""


def _secure(url: str, issuer: str) -> None:
    """Refuse an address to which a secret would be sent in plain text over a network."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme == "https" or (parsed.scheme == "http" and parsed.host in LOOPBACK):
        return
    raise NotConfigured(
        "issuer_not_secure",
        f"the issuer {issuer} has an address without HTTPS: {url}",
        advice="Report it to an admin of the registry: only an issuer on this machine may use plain HTTP.",
    )
