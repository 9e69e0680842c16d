"""Keys: issue, register, revoke; and the public keys of the services, for every reader of events."""

from __future__ import annotations

import base64
from typing import Any

from regista.wire.keys import new_key_id
from services.registry.access.api.calls import ADMIN, submit
from services.registry.access.domain.commands import IssueKey, RevokeKey
from services.registry.access.shapes import KeyAnswer, NewKey, RevokeQuery, ServiceKeys
from shared.deciding.access import NO_ROLE, KeyIssued
from shared.deciding.acting import key_of
from shared.deciding.decider import Forbidden, Unprocessable
from shared.deciding.issuers import issuer_of
from shared.deciding.submission import Outcome, Permission
from shared.http.problems import Problem
from shared.http.routes import Call, Reply, Route
from shared.identity.access_view import new_api_key
from shared.identity.public_keys import PublicKeyRecord


async def issue_key(call: Call[NewKey]) -> Reply:
    """Issue or register a key. An identity may rotate its own: it has at most two at a time then.

    An API key that a person issues for themselves with a token has the roles of their groups at the token's
    issuer, as of the last sign-in there, and is valid for 24 hours at most.
    """
    _check_may_change(call)
    if call.body.never_expires and call.body.expires_at is not None:
        raise Unprocessable(
            "two_expiries", "The key has an expiry and never expires: send expires_at or never_expires."
        )
    if call.body.public_key is None:
        return await _issue_api_key(call, call.body)
    return await _register_signing_key(call, call.body, call.body.public_key)


async def revoke_key(call: Call[None, RevokeQuery]) -> None:
    _check_may_change(call)
    query = call.query
    command = RevokeKey(
        call.path["subject"], call.path["key_id"], query.reason, query.compromised, call.actor.subject
    )
    await submit(call, command, _permission(call))


def _is_own(call: Call) -> bool:
    return call.path["subject"] == call.actor.subject


def _check_may_change(call: Call) -> None:
    used = key_of(call.access_state, call.actor.method)
    if used is not None and used.trust:
        raise Forbidden(
            "key_of_a_job",
            f"The key of a job publishes and decides about no key: use another one of {call.actor.subject}, "
            "or ask an admin.",
        )
    if not _is_own(call):
        call.require("admin", "")


def _permission(call: Call) -> Permission:
    return Permission(NO_ROLE) if _is_own(call) else ADMIN


async def _issue(call: Call[NewKey], key_id: str, algorithm: str, verifier: str) -> Outcome:
    days = call.app.settings.key_days
    unlimited = call.body.never_expires and not _is_own(call)
    command = IssueKey(
        call.path["subject"],
        key_id,
        "ed25519" if algorithm == "ed25519" else "hmac-sha256",
        verifier,
        call.body.expires_at,
        by=call.actor.subject,
        valid_days=0 if unlimited else days,
        issuer="" if call.body.without_groups else issuer_of(call.actor.method),
    )
    return await submit(call, command, _permission(call), call.body.reason)


def _described(call: Call, outcome: Outcome, key_id: str) -> dict[str, Any]:
    """Return until when the key is valid and whose roles it has: of its event, or of the key before it."""
    issued = next((r.event for r in outcome.events if isinstance(r.event, KeyIssued)), None)
    key = issued or call.app.access.identities.state_of(call.path["subject"]).keys.get(key_id)
    until = key.expires_at if key else call.body.expires_at
    return {"expires_at": until, "with_groups": bool(key and key.issuer)}


async def _register_signing_key(call: Call, body: NewKey, public_key: str) -> Reply:
    subject, key_id = call.path["subject"], body.key_id or new_key_id()
    outcome = await _issue(call, key_id, "ed25519", public_key)
    described = _described(call, outcome, key_id)
    return Reply({"subject": subject, "key_id": key_id, "algorithm": "ed25519", **described}, 201)


async def _issue_api_key(call: Call, body: NewKey) -> Reply:
    if body.key_id is not None:
        raise Unprocessable(
            "key_id_without_key",
            "The service chooses the id of an API key: leave key_id out, or send the public_key it belongs "
            "to.",
        )
    subject, made = call.path["subject"], new_api_key(call.app.settings.pepper)
    outcome = await _issue(call, made.key_id, "hmac-sha256", made.verifier)
    issued: dict[str, str | None] = {"key_id": made.key_id, "api_key": made.text}
    if outcome.replayed:
        key_id = next(r.event.key_id for r in outcome.events if r.type == "KeyIssued")
        issued = {"key_id": key_id, "api_key": None}
    described = _described(call, outcome, str(issued["key_id"]))
    return Reply({"subject": subject, "algorithm": "hmac-sha256", **described, **issued}, 201)


async def read_service_keys(call: Call) -> Reply:
    """Return the public keys with which services sign events, also those that are not valid any more.

    Public: every reader of events needs them, and they are no secret.
    """
    if not call.app.serving:
        raise Problem(
            503, "starting", "The service is not ready yet: repeat the request.", {"retry-after": "2"}
        )
    await call.app.access.catch_up()
    keys = call.app.access.identities.public_keys("service")
    return Reply({"keys": [_as_jwk(key) for key in keys]}, headers={"cache-control": "max-age=60"})


def _as_jwk(key: PublicKeyRecord) -> dict[str, object]:
    return {
        "kid": key.key_id,
        "kty": "OKP",
        "crv": "Ed25519",
        "x": base64.urlsafe_b64encode(key.public_key).decode().rstrip("="),
        "use": "sig",
        "subject": key.subject,
        "public_key": key.public_key.hex(),
        "valid_from": key.valid_from,
        "valid_until": key.valid_until,
        "compromised": key.compromised,
    }


_KEYS = "/v1/access/identities/{subject}/keys"
_PUBLIC = "The public keys of the services, with the times in which they are valid"
ROUTES = (
    Route(
        "POST",
        _KEYS,
        issue_key,
        "Issue a key",
        body=NewKey,
        response=KeyAnswer,
        status=201,
        tags=["access"],
    ),
    Route("DELETE", _KEYS + "/{key_id}", revoke_key, "Revoke a key", query=RevokeQuery, tags=["access"]),
    Route("GET", "/v1/keys", read_service_keys, _PUBLIC, response=ServiceKeys, public=True, tags=["access"]),
    Route(
        "GET",
        "/.well-known/regista-keys.json",
        read_service_keys,
        _PUBLIC,
        response=ServiceKeys,
        public=True,
        tags=["access"],
    ),
)
