"""Who exists, with which names."""

from __future__ import annotations

from typing import Any

from services.registry.access import names, queries
from services.registry.access.api.calls import answer, held_roles, submit, with_group_roles
from services.registry.access.domain.commands import (
    CreateIdentity,
    DisableIdentity,
    EnableIdentity,
    EraseName,
    SetName,
)
from services.registry.access.shapes import (
    Caller,
    Erasure,
    ErasureAnswer,
    Identities,
    IdentityAnswer,
    Names,
    NamesQuery,
    NewIdentity,
    NewName,
)
from services.registry.shapes.common import RequiredReason
from shared.deciding.decider import Unprocessable
from shared.deciding.events import key_id_of
from shared.deciding.issuers import subject_of_issuer
from shared.deciding.submission import new_id
from shared.http.routes import Call, PageQuery, Reply, Route
from shared.identity import directory

STILL_STORED = (
    "Reviews and overrides that were signed keep the name printed on them, as long as those records are "
    "kept. A salted digest of the name stays, by which its owner is kept from approving own versions. "
    "Backups made before now hold the name until they are deleted."
)


async def list_identities(call: Call[None, PageQuery]) -> dict[str, Any]:
    """Return all identities, for admins and auditors of everything."""
    call.require("auditor", "")
    after = call.query.after(str)
    rows = await call.app.pool.fetch(queries.IDENTITIES, after[0] if after else "", call.query.page_size)
    token = call.query.next_token(rows, "subject")
    return {"items": [with_group_roles(call, row) for row in rows], "next_page_token": token}


async def create_identity(call: Call[NewIdentity]) -> Reply:
    call.require("admin", "")
    body = call.body
    subject = body.subject or f"u-{new_id(call.cause(), 'subject').hex[:20]}"
    outcome = await submit(call, CreateIdentity(subject, body.kind, call.actor.subject), reason=body.reason)
    await names.store_at_creation(call.app.pool, subject, body.name, outcome)
    return await answer(call, subject, status=201)


async def disable_identity(call: Call[RequiredReason]) -> Reply:
    """Take all effect from an identity's keys and roles until it is enabled again."""
    call.require("admin", "")
    subject = call.path["subject"]
    await submit(call, DisableIdentity(subject, call.actor.subject), reason=call.body.reason)
    return await answer(call, subject)


async def enable_identity(call: Call[RequiredReason]) -> Reply:
    """Let a disabled identity act again, with the keys and roles that it has."""
    call.require("admin", "")
    await submit(call, EnableIdentity(call.path["subject"]), reason=call.body.reason)
    return await answer(call, call.path["subject"])


async def set_name(call: Call[NewName]) -> Reply:
    """Give or correct the name. What was signed before keeps the name it was signed with."""
    call.require("admin", "")
    subject, name = call.path["subject"], call.body.name
    if (await directory.stored_name(call.app.pool, subject)).name != name:
        await names.store_correction(call.app.pool, subject, name, await submit(call, SetName(subject)))
    return await answer(call, subject)


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
    outcome = await submit(call, EraseName(subject), reason=reason)
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
    return await answer(call, call.path["subject"])


async def read_caller(call: Call) -> Reply:
    """Return the caller, its roles, and the key or the sign-in of this request, from memory."""
    state, method = call.access_state, call.actor.method
    name = (await directory.stored_name(call.app.pool, state.subject)).name
    head = {"subject": state.subject, "kind": state.kind, "name": name, "roles": held_roles(state)}
    if call.token is not None:
        of_issuer = call.app.access.identities.state_of(subject_of_issuer(call.token.issuer))
        url = of_issuer.issuer.url if of_issuer.issuer else ""
        return Reply(head | {"key": None, "sign_in": {"issuer": url, "until": call.token.expires_at}})
    key = state.keys[key_id_of(method)]
    used = {"key_id": key.key_id, "algorithm": key.algorithm, "expires_at": key.expires_at}
    return Reply(head | {"key": used, "sign_in": None})


_ALL = "/v1/access/identities"
_ONE = _ALL + "/{subject}"
ROUTES = (
    Route(
        "GET",
        _ALL,
        list_identities,
        "People, publishers, services and groups",
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
        "GET",
        "/v1/access/me",
        read_caller,
        "Who the caller is, with which key and roles",
        response=Caller,
        tags=["access"],
    ),
    Route(
        "POST",
        _ONE + ":disable",
        disable_identity,
        "Disable an identity: it may do nothing",
        body=RequiredReason,
        response=IdentityAnswer,
        tags=["access"],
    ),
    Route(
        "POST",
        _ONE + ":enable",
        enable_identity,
        "Enable an identity again",
        body=RequiredReason,
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
)
