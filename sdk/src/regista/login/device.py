"""Sign in without a browser on this machine: a code that a person enters on another device (RFC 8628)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from regista.errors import NotConfigured, TimedOut
from regista.login.browser import Proof, refused_by, scope_of
from regista.login.issuers import Offered, Provider
from regista.login.requests import RefusedByIssuer, form
from regista.login.tokens import AGAIN, Tokens, received

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER = 5.0  # seconds that `slow_down` adds to the interval


@dataclass(frozen=True, slots=True)
class Code:
    """What a person enters, and where. `complete` is an address that contains the code, or ""."""

    text: str
    address: str
    complete: str


def by_device(
    http: httpx.Client,
    provider: Provider,
    client: Offered,
    show: Callable[[Code], None],
    *,
    seconds: float = 300.0,
) -> Tokens:
    """Show a code, and wait until a person has entered it. Raises RegistaError."""
    if not provider.device:
        raise NotConfigured(
            "no_device_code",
            f"{provider.issuer} offers no sign-in by a code",
            advice="Sign in on a machine with a browser: `regista login`.",
        )
    proof = Proof()
    fields = {"client_id": client.client_id, "scope": scope_of(client), **proof.challenge}
    try:
        answer = form(http, provider.device, fields, provider.issuer)
    except RefusedByIssuer as refused:
        raise refused_by(provider.issuer, refused.code, str(refused)) from None
    if not all(isinstance(answer.get(n), str) for n in ("device_code", "user_code", "verification_uri")):
        raise refused_by(provider.issuer, "no_code", "its answer has no code")
    show(
        Code(
            answer["user_code"], answer["verification_uri"], str(answer.get("verification_uri_complete", ""))
        )
    )
    exchange = {
        "grant_type": GRANT,
        "device_code": answer["device_code"],
        "code_verifier": proof.verifier,
    }
    until = time.monotonic() + min(seconds, float(answer.get("expires_in", seconds)))
    interval = float(answer.get("interval", 5))
    while time.monotonic() + interval < until:
        time.sleep(interval)
        try:
            return received(http, provider, client, exchange)
        except RefusedByIssuer as refused:
            if refused.code == "slow_down":
                interval += SLOWER
            elif refused.code == "expired_token":
                break
            elif refused.code != "authorization_pending":
                raise refused_by(provider.issuer, refused.code, str(refused)) from None
    raise TimedOut("sign_in_timed_out", "the code was not entered in time", advice=AGAIN)
