"""Identities, their names, keys and roles over HTTP. Only an admin changes them."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any

from regista.wire.keys import new_key_id
from services.registry.access import names, queries
from services.registry.access.domain import (
    AccessCommand,
    CreateIdentity,
    EraseName,
    GrantRole,
    IssueKey,
    RevokeKey,
    RevokeRole,
    SetName,
)
from services.registry.access.shapes import (
    Erasure,
    ErasureAnswer,
    Grant,
    Identities,
    IdentityAnswer,
    KeyAnswer,
    Names,
    NamesQuery,
    NewIdentity,
    NewKey,
    NewName,
    RevokeQuery,
)
from shared.deciding.access import EVERYWHERE, PARTITION, stream_of
from shared.deciding.decider import NotFound, Unprocessable
from shared.deciding.submission import Cause, Outcome, Permission, Submission, new_id
from shared.http.routes import Call, PageQuery, Reply, Route
from shared.identity import directory
from shared.identity.access_view import new_api_key

STILL_STORED = (
    "Reviews and overrides that were signed keep the name printed on them, as long as those records are "
    "kept. "
    "Backups made before now hold the name until they are deleted."
)


async def list_identities(call: Call[None, PageQuery]) -> dict[str, Any]:
    """Return all identities, for admins and auditors of everything."""
    call.require("auditor", "")
    after = call.query.after(str)
    rows = await call.app.pool.fetch(queries.IDENTITIES, after[0] if after else "", call.query.page_size)
    token = call.query.next_token(rows, "subject")
    return {"items": [dict(row) for row in rows], "next_page_token": token}


async def create_identity(call: Call[NewIdentity]) -> Reply:
    body = call.body
    subject = body.subject or f"u-{new_id(call.cause(), 'subject').hex[:20]}"
    outcome = await _submit(call, CreateIdentity(subject, body.kind))
    await names.store_at_creation(call.app.pool, subject, body.name, outcome)
    return await _answer(call, subject, status=201)


async def set_name(call: Call[NewName]) -> Reply:
    """Give or correct the name. What was signed before keeps the name it was signed with."""
    call.require("admin", "")
    subject, name = call.path["subject"], call.body.name
    if (await directory.stored_name(call.app.pool, subject)).name != name:
        await names.store_correction(call.app.pool, subject, name, await _submit(call, SetName(subject)))
    return await _answer(call, subject)


async def erase_name(call: Call[Erasure]) -> Reply:
    """Erase the name in the directory. The event records who did it, when and why, without the name."""
    call.require("admin", "")
    subject, reason = call.path["subject"], call.body.reason
    stored = (await directory.stored_name(call.app.pool, subject)).all
    if names.contains_name(reason, (name for name in stored if name != subject)):
        raise Unprocessable(
            "name_in_reason",
            "The log stores the reason permanently: give a reason that does not contain the name.",
        )
    outcome = await _submit(call, EraseName(subject), reason=reason)
    erased_at = await names.erase(call.app.pool, subject, outcome)
    return Reply({"subject": subject, "name_erased_at": erased_at, "kept": STILL_STORED})


async def read_names(call: Call[None, NamesQuery]) -> dict[str, Any]:
    """Return the names of subjects.

    Every caller with a role may read them: subjects appear in all timelines and reviews.
    """
    call.require_any_role()
    return {"names": await directory.names(call.app.pool, call.query.subjects.split(","))}


async def read_identity(call: Call) -> Reply:
    if call.path["subject"] != call.actor.subject:
        call.require("admin", "")
    return await _answer(call, call.path["subject"])


async def issue_key(call: Call[NewKey]) -> Reply:
    if call.body.public_key is None:
        return await _issue_api_key(call, call.body)
    return await _register_signing_key(call, call.body, call.body.public_key)


async def _register_signing_key(call: Call, body: NewKey, public_key: str) -> Reply:
    subject, key_id = call.path["subject"], body.key_id or new_key_id()
    await _submit(call, IssueKey(subject, key_id, "ed25519", public_key, body.expires_at))
    return Reply(
        {"subject": subject, "key_id": key_id, "algorithm": "ed25519", "expires_at": body.expires_at}, 201
    )


async def _issue_api_key(call: Call, body: NewKey) -> Reply:
    if body.key_id is not None:
        raise Unprocessable(
            "key_id_without_key",
            "The service chooses the id of an API key: leave key_id out, or send the public_key it belongs "
            "to.",
        )
    subject, made = call.path["subject"], new_api_key(call.app.settings.pepper)
    outcome = await _submit(
        call, IssueKey(subject, made.key_id, "hmac-sha256", made.verifier, body.expires_at)
    )
    issued: dict[str, str | None] = {"key_id": made.key_id, "api_key": made.text}
    if outcome.replayed:
        key_id = next(r.event.key_id for r in outcome.events if r.type == "KeyIssued")
        issued = {"key_id": key_id, "api_key": None}
    return Reply(
        {"subject": subject, "algorithm": "hmac-sha256", "expires_at": body.expires_at, **issued}, 201
    )


async def revoke_key(call: Call[None, RevokeQuery]) -> None:
    subject, key_id = call.path["subject"], call.path["key_id"]
    await _submit(call, RevokeKey(subject, key_id, call.query.reason, call.query.compromised))


async def grant_role(call: Call[Grant]) -> Reply:
    subject, body = call.path["subject"], call.body
    command = GrantRole(subject, body.role, body.namespace, call.actor.subject)
    await _submit(call, command, _administered(body.namespace))
    return await _answer(call, subject)


async def revoke_role(call: Call[None, Grant]) -> None:
    command = RevokeRole(call.path["subject"], call.query.role, call.query.namespace)
    await _submit(call, command, _administered(call.query.namespace))


def _administered(namespace: str) -> str:
    """Return the namespace whose admin may grant there: roles everywhere need an admin of everything."""
    return "" if namespace == EVERYWHERE else namespace


async def _submit(call: Call, command: AccessCommand, namespace: str = "", reason: str = "") -> Outcome:
    call.require("admin", namespace)
    streams, permission = (stream_of(command.subject),), Permission("admin", namespace)
    submission = Submission(
        command, streams, _keyed_cause(call), call.actor, permission=permission, reason=reason
    )
    return await call.app.transactors[PARTITION].submit(submission)


def _keyed_cause(call: Call) -> Cause:
    """Key the request's digest with the pepper: without it, trying names would find a name in the body."""
    cause = call.cause()
    return replace(cause, digest=hmac.digest(call.app.settings.pepper.encode(), cause.digest, "sha256"))


async def _answer(call: Call, subject: str, status: int = 200) -> Reply:
    row = await call.app.pool.fetchrow(queries.IDENTITY, subject)
    if row is None:
        raise NotFound("unknown_identity", f"There is no identity {subject!r:.120}: create it first.")
    return Reply(dict(row), status)


_ALL = "/v1/access/identities"
_ONE = _ALL + "/{subject}"
ROUTES = (
    Route(
        "GET",
        _ALL,
        list_identities,
        "People, publishers and services",
        query=PageQuery,
        response=Identities,
        tags=["access"],
    ),
    Route(
        "POST",
        _ALL,
        create_identity,
        "Create an identity",
        body=NewIdentity,
        response=IdentityAnswer,
        status=201,
        tags=["access"],
    ),
    Route(
        "GET",
        _ONE,
        read_identity,
        "One identity; each subject may read its own",
        response=IdentityAnswer,
        tags=["access"],
    ),
    Route(
        "PUT",
        _ONE + "/name",
        set_name,
        "Give or correct a name",
        body=NewName,
        response=IdentityAnswer,
        tags=["access"],
    ),
    Route(
        "POST",
        _ONE + ":erase-name",
        erase_name,
        "Erase a name",
        body=Erasure,
        response=ErasureAnswer,
        tags=["access"],
    ),
    Route(
        "GET",
        "/v1/access/names",
        read_names,
        "Who subjects are",
        query=NamesQuery,
        response=Names,
        tags=["access"],
    ),
    Route(
        "POST",
        _ONE + "/keys",
        issue_key,
        "Issue a key",
        body=NewKey,
        response=KeyAnswer,
        status=201,
        tags=["access"],
    ),
    Route("DELETE", _ONE + "/keys/{key_id}", revoke_key, "Revoke a key", query=RevokeQuery, tags=["access"]),
    Route(
        "PUT",
        _ONE + "/roles",
        grant_role,
        "Grant a role",
        body=Grant,
        response=IdentityAnswer,
        tags=["access"],
    ),
    Route("DELETE", _ONE + "/roles", revoke_role, "Take a role back", query=Grant, tags=["access"]),
)
