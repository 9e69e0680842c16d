"""Links: which identities, and which logins of jobs, are of one human being."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import asyncpg

from services.registry.access import queries
from services.registry.access.api.calls import ADMIN, answer, submission, transactor
from services.registry.access.domain.links import LinkIdentity, UnlinkIdentity, subjects_of
from services.registry.access.shapes import IdentityAnswer, Links, NewLink, UnlinkQuery
from services.registry.api.calls import other_identities
from shared.deciding.access import NO_ROLE, stream_of
from shared.deciding.acting import key_of
from shared.deciding.decider import Forbidden
from shared.deciding.one_person import subjects_of_person
from shared.deciding.person import folded_name
from shared.deciding.submission import Permission, Submission
from shared.http.routes import Call, PageQuery, Reply, Route
from shared.identity.sign_ins import KeysUnavailable, SignInNeeded
from shared.identity.tokens import TokenRefused, is_token
from shared.log.transact import routed


async def list_links(call: Call[None, PageQuery]) -> dict[str, Any]:
    """Return who is linked with whom, since when, by whom and why, for admins and auditors of everything."""
    call.require("auditor", "")
    after = call.query.after(str, str, bool) or ("", "", False)
    rows = await call.app.pool.fetch(queries.LINKS, *after, call.query.page_size)
    return {
        "items": [dict(row) for row in rows],
        "next_page_token": call.query.next_token(rows, "subject", "other", "login"),
    }


async def link_identity(call: Call[NewLink]) -> Reply:
    """Count two identities, or an identity and a login of jobs, as one person.

    An admin everywhere decides, or the person: `proof` is an API key or an access token of the other
    identity then.
    """
    subject, body, other, permission = call.path["subject"], call.body, call.body.other, ADMIN
    if body.proof is not None:
        other, permission = await _proved(call, body.proof.get_secret_value()), Permission(NO_ROLE)
    else:
        call.require("admin", "")
    command = LinkIdentity(subject, other, call.actor.subject, body.login)
    made = submission(call, command, subjects_of(command), permission, reason=body.reason)
    await transactor(call).submit(replace(made, under_locks=_with_called if body.login else None))
    return await answer(call, subject)


async def _with_called(connection: asyncpg.Connection, command: LinkIdentity) -> LinkIdentity:
    """Return the command with the identities of the login's name. A creation reads the login's stream."""
    rows = await connection.fetch(queries.CALLED, folded_name(command.other))
    return replace(command, called=tuple(row["subject"] for row in rows))


async def unlink_identity(call: Call[None, UnlinkQuery]) -> None:
    """Count them as two people from now on. What was decided before keeps the links of its time."""
    call.require("admin", "")
    query = call.query
    state_of = call.app.access.identities.state_of

    async def build() -> Submission:
        own = await _own_subjects(call)
        command = UnlinkIdentity(call.path["subject"], query.other, call.actor.subject, query.login, own)
        written = subjects_of(command)
        person = set(subjects_of_person(command.subject, state_of))
        reads = tuple(stream_of(one) for one in sorted(person - set(written)))
        return replace(submission(call, command, written, ADMIN, reason=query.reason), depends_on=reads)

    await routed(transactor(call), build)


async def _own_subjects(call: Call[Any, Any]) -> frozenset[str]:
    """Return all identities of the caller, publishers too, and their logins, at any distance."""
    own = {call.actor.subject, *await other_identities(call)}
    state_of = call.app.access.identities.state_of
    return frozenset(linked for one in own for linked in subjects_of_person(one, state_of))


async def _proved(call: Call[NewLink], proof: str) -> str:
    """Return the identity of the proof. Raise Forbidden unless it and that in the path are the caller's."""
    used = key_of(call.access_state, call.actor.method)
    if used is not None and used.trust:
        raise Forbidden("key_of_a_job", "The key of a job links no identities: use another key, or sign in.")
    if call.path["subject"] != call.actor.subject:
        raise Forbidden("not_yours", "With a proof you link your own identity: name that of your credential.")
    subject = await _subject_of(call, proof)
    if not subject or call.body.login or call.body.other not in {"", subject}:
        raise Forbidden(
            "no_proof",
            "The proof is no valid API key or access token of the other identity: send one, or ask an admin "
            "to link them.",
        )
    return subject


async def _subject_of(call: Call, proof: str) -> str:
    """Return the identity whose valid credential this is, or ""."""
    if not is_token(proof):
        found = await call.app.access.identify(proof)
        job = found is not None and (key := key_of(found.state, found.actor.method)) is not None and key.trust
        return found.actor.subject if found is not None and not job else ""
    try:
        return (await call.app.sign_ins.identify(await call.app.sign_ins.verified(proof))).actor.subject
    except (TokenRefused, SignInNeeded, KeysUnavailable, Forbidden):
        return ""


_LINKS = "/v1/access/identities/{subject}/links"
ROUTES = (
    Route(
        "GET",
        "/v1/access/links",
        list_links,
        "Which identities and logins count as one person",
        query=PageQuery,
        response=Links,
        tags=["access"],
    ),
    Route(
        "PUT",
        _LINKS,
        link_identity,
        "Link an identity with another one, or with a login of jobs, of the same person",
        body=NewLink,
        response=IdentityAnswer,
        tags=["access"],
    ),
    Route("DELETE", _LINKS, unlink_identity, "Remove a link", query=UnlinkQuery, tags=["access"]),
)
