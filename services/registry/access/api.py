"""Identities, their names, keys and roles. Whoever administers everything administers these."""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from regista.wire.keys import new_key_id
from services.registry import queries
from services.registry.access import names
from services.registry.access.domain import (
    AccessCommand,
    CreateIdentity,
    EraseName,
    GrantRole,
    IssueKey,
    RevokeKey,
    RevokeRole,
    Role,
    SetName,
)
from services.registry.api.calls import Why
from shared.deciding.access import EVERYWHERE, Kind, stream_of
from shared.deciding.decider import NotFound, Unprocessable
from shared.deciding.submission import Cause, Outcome, Permission, Submission, new_id
from shared.http.routes import Body, Call, PageQuery, Reply, Route
from shared.identity import directory
from shared.identity.access_view import new_api_key

KEPT = (
    "Reviews and overrides that were signed keep the name printed on them, as long as those records are kept. "
    "Backups made before now hold the name until they are deleted."
)
JOINERS = "\u200c\u200d"
"""Invisible, and part of how some names are spelt."""


def _visible(name: str) -> str:
    if not all(character.isprintable() or character in JOINERS for character in name):
        msg = "holds characters that nobody sees (controls, line breaks, marks of direction): it is printed under what somebody signs"
        raise ValueError(msg)
    return name


Named = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_visible)]


class NewIdentity(Body):
    """Without `subject` one is made that says nothing about anybody: events hold it for ever.

    `name` stands in the directory, and can be erased.
    """

    subject: str | None = Field(default=None, min_length=1, max_length=100)
    kind: Kind
    name: Named = ""


class NewName(Body):
    name: Annotated[Named, StringConstraints(min_length=1)]


class Erasure(Body):
    """Why. The reason stands in the log for ever, so it must not say the name."""

    reason: Why


class NewKey(Body):
    """Without `public_key` an API key is made (the answer shows it once); with it, a signing key made elsewhere is registered."""

    public_key: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    key_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    expires_at: AwareDatetime | None = None


class Grant(Body):
    role: Role
    namespace: str = Field(default=EVERYWHERE, max_length=200)


class RevokeQuery(Body):
    """A service's events that were recorded before its key was revoked still count; not so if it is `compromised`."""

    reason: str = Field(default="", max_length=2_000)
    compromised: bool = False


class ErasureAnswer(Body):
    """`kept` says where the name still stands."""

    subject: str
    name_erased_at: str
    kept: str


MOST_AT_ONCE = 100


def _listed(subjects: str) -> str:
    """Not by a pattern: one that counts both takes 20 MiB compiled."""
    listed = subjects.split(",")
    if len(listed) > MOST_AT_ONCE or not all(listed):
        msg = f"name 1 to {MOST_AT_ONCE} subjects, with commas between"
        raise ValueError(msg)
    return subjects


class NamesQuery(Body):
    """`subjects`: at most a hundred, with commas between."""

    subjects: Annotated[str, Field(max_length=10_100), AfterValidator(_listed)]


class Names(Body):
    """By subject; null where there is none any more. Who never had one is missing."""

    names: dict[str, str | None]


class IdentityAnswer(Body):
    """`name` is empty where none was given, or where it was erased."""

    subject: str
    kind: Kind
    name: str
    name_erased_at: str | None
    created_at: str
    created_by: str
    keys: list[dict[str, Any]]
    roles: list[dict[str, str]]


class Identities(Body):
    items: list[IdentityAnswer]
    next_page_token: str


class KeyAnswer(Body):
    """`api_key` is shown this one time and stored nowhere."""

    subject: str
    key_id: str
    algorithm: str
    expires_at: datetime | None
    api_key: str | None = None


async def list_identities(call: Call) -> dict[str, Any]:
    call.require("admin", "")
    after = call.query.after(str)
    rows = await call.app.pool.fetch(queries.IDENTITIES, after[0] if after else "", call.query.page_size)
    token = call.query.next_token(rows, "subject")
    return {"items": [dict(row) for row in rows], "next_page_token": token}


async def create_identity(call: Call) -> Reply:
    body = call.body
    subject = body.subject or f"u-{new_id(call.cause(), 'subject').hex[:20]}"
    outcome = await _send(call, CreateIdentity(subject, body.kind))
    await names.created(call.app.pool, subject, body.name, outcome)
    return await _answer(call, subject, status=201)


async def set_name(call: Call) -> Reply:
    """Corrects the name, or gives it. What was signed before keeps the name it was signed with."""
    call.require("admin", "")
    subject, name = call.path["subject"], call.body.name
    if (await directory.stored_name(call.app.pool, subject)).name != name:
        await names.corrected(call.app.pool, subject, name, await _send(call, SetName(subject)))
    return await _answer(call, subject)


async def erase_name(call: Call) -> Reply:
    """The directory forgets the name; who did it, when and why is an event, without the name."""
    call.require("admin", "")
    subject, reason = call.path["subject"], call.body.reason
    known = (await directory.stored_name(call.app.pool, subject)).all
    if names.said(reason, (name for name in known if name != subject)):
        raise Unprocessable(
            "name_in_reason",
            "The reason stands in the log for ever: say it without the name that is to be erased.",
        )
    outcome = await _send(call, EraseName(subject), reason=reason)
    return Reply(
        {
            "subject": subject,
            "name_erased_at": await names.erased(call.app.pool, subject, outcome),
            "kept": KEPT,
        }
    )


async def read_names(call: Call) -> dict[str, Any]:
    """Whoever has a role anywhere sees subjects in histories and reviews, and may know who they are."""
    call.require_any_role()
    return {"names": await directory.names(call.app.pool, call.query.subjects.split(","))}


async def read_identity(call: Call) -> Reply:
    if call.path["subject"] != call.actor.subject:
        call.require("admin", "")
    return await _answer(call, call.path["subject"])


async def issue_key(call: Call) -> Reply:
    body, subject = call.body, call.path["subject"]
    if body.public_key is not None:
        key_id = body.key_id or new_key_id()
        command = IssueKey(subject, key_id, "ed25519", body.public_key, body.expires_at)
        await _send(call, command)
        return Reply(
            {"subject": subject, "key_id": key_id, "algorithm": "ed25519", "expires_at": body.expires_at}, 201
        )
    if body.key_id is not None:
        raise Unprocessable(
            "key_id_without_key",
            "The id of an API key is made here: leave key_id out, or send the public_key it belongs to.",
        )
    made = new_api_key(call.app.settings.pepper)
    outcome = await _send(call, IssueKey(subject, made.key_id, "hmac-sha256", made.verifier, body.expires_at))
    answer = {
        "subject": subject,
        "key_id": made.key_id,
        "algorithm": "hmac-sha256",
        "expires_at": body.expires_at,
        "api_key": made.text,
    }
    if outcome.replayed:
        answer |= {
            "key_id": next(r.event.key_id for r in outcome.events if r.type == "KeyIssued"),
            "api_key": None,
        }
    return Reply(answer, 201)


async def revoke_key(call: Call) -> None:
    await _send(
        call, RevokeKey(call.path["subject"], call.path["key_id"], call.query.reason, call.query.compromised)
    )


async def grant_role(call: Call) -> Reply:
    subject, body = call.path["subject"], call.body
    await _send(
        call, GrantRole(subject, body.role, body.namespace, call.actor.subject), _administered(body.namespace)
    )
    return await _answer(call, subject)


async def revoke_role(call: Call) -> None:
    await _send(
        call,
        RevokeRole(call.path["subject"], call.query.role, call.query.namespace),
        _administered(call.query.namespace),
    )


def _administered(namespace: str) -> str:
    """Roles in a namespace are given by its admin; those everywhere by an admin of everything."""
    return "" if namespace == EVERYWHERE else namespace


async def _send(call: Call, command: AccessCommand, namespace: str = "", reason: str = "") -> Outcome:
    call.require("admin", namespace)
    streams, permission = (stream_of(command.subject),), Permission("admin", namespace)
    submission = Submission(command, streams, _keyed(call), call.actor, permission=permission, reason=reason)
    return await call.app.transactors["access"].submit(submission)


def _keyed(call: Call) -> Cause:
    """The request's digest is kept, and a body may hold a name: without the pepper nobody can find out which by trying."""
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
        "One identity; everybody may read their own",
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
