"""Sign in with a browser: authorization code with PKCE, received on a loopback port (RFC 8252)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from regista.errors import Forbidden, RegistaError, Unauthorized
from regista.login.issuers import OPENID, Offered, Provider
from regista.login.redirect import Redirect
from regista.login.requests import RefusedByIssuer
from regista.login.tokens import AGAIN, Tokens, received


@dataclass(frozen=True, slots=True)
class Proof:
    """A secret of this sign-in (PKCE): only who has it can exchange the code for tokens."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def challenge(self) -> dict[str, str]:
        """The fields of the request that starts the sign-in."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return {"code_challenge": challenge, "code_challenge_method": "S256"}


def by_browser(
    http: httpx.Client,
    provider: Provider,
    client: Offered,
    show: Callable[[str], None],
    *,
    port: int = 0,
    seconds: float = 300.0,
) -> Tokens:
    """Open the issuer's page in a browser, and wait for its answer.

    `show` gets the URL before the browser opens. `port` is where the answer is received; 0 takes a free one.
    Raises RegistaError.
    """
    proof, state, nonce = Proof(), secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    with Redirect(state, port) as redirect:
        fields = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect.url,
            "scope": scope_of(client),
            "state": state,
            "nonce": nonce,
            **proof.challenge,
        }
        url = str(httpx.URL(provider.authorization).copy_merge_params(fields))
        show(url)
        webbrowser.open(url)
        answer = redirect.wait(seconds)
    code = _code(answer, provider)
    exchange = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect.url,
        "code_verifier": proof.verifier,
    }
    try:
        return received(http, provider, client, exchange, nonce)
    except RefusedByIssuer as refused:
        raise refused_by(provider.issuer, refused.code, str(refused)) from None


def has_browser() -> bool:
    """Return whether this machine can open a page for a person."""
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def scope_of(client: Offered) -> str:
    """Return the scopes to request. Without `openid` there would be no ID token to check."""
    return " ".join(dict.fromkeys((OPENID, *client.scopes)))


def _code(answer: Mapping[str, str], provider: Provider) -> str:
    """Return the code of an answer. Raises Unauthorized for another issuer's answer (RFC 9207)."""
    named = answer.get("iss")
    if named != provider.issuer and (named is not None or provider.names_itself):
        raise Unauthorized(
            "wrong_issuer",
            f"the answer is not from {provider.issuer}, but from {named or 'an issuer without a name'}",
            advice=f"{AGAIN} If it stays, report it to an admin: it may be an attack.",
        )
    if error := answer.get("error"):
        description = answer.get("error_description", "")
        raise refused_by(provider.issuer, error, f"{error}: {description}" if description else error)
    if not answer.get("code"):
        raise refused_by(provider.issuer, "no_code", "its answer has no code")
    return answer["code"]


def refused_by(issuer: str, code: str, text: str) -> RegistaError:
    """Return the error for a sign-in that the issuer ended."""
    if code == "access_denied":
        return Forbidden("sign_in_refused", f"{issuer} refused the sign-in: {text}", advice=AGAIN)
    return Unauthorized("sign_in_failed", f"{issuer} did not sign you in: {text}", advice=AGAIN)
