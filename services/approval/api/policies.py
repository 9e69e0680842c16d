"""Policies: preview, publish, confirm, get, list."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from regista.wire.policies import Subject
from services.approval import queries
from services.approval.api.decisions import behind
from services.approval.api.preview import preview
from services.approval.domain import policy
from services.approval.domain.policy import ConfirmPolicy, PublishPolicy
from services.approval.domain.policy_checks import checked
from services.approval.domain.policy_publication import check_name
from services.approval.shapes.policies import (
    ConfirmBody,
    PolicyAnswer,
    PolicyBody,
    PolicyPage,
    PolicyPreview,
    PolicyQuery,
    PublicationQuery,
)
from shared.deciding.access import permits, stream_of
from shared.deciding.decider import NotFound, Stale
from shared.deciding.environments import unknown_environment
from shared.deciding.submission import Permission, Submission
from shared.http.problems import Problem
from shared.http.routes import Call, PageQuery, Reply, Route
from shared.identity.recognised import recognised
from shared.log.transact import routed

ADMIN = Permission("admin", "")


async def put_policy(call: Call[PolicyBody, PublicationQuery]) -> Reply:
    """Publish the next revision of a policy, or propose it.

    The caller needs the role admin everywhere, because a policy may select any model. To change a policy that
    exists, the caller sends its ETag. A revision by which the policies require less is only proposed (202)
    where there is a second admin, who then confirms it.
    """
    call.require("admin", "")
    name, is_new, cause = call.path["name"], "if-match" not in call.headers, call.cause()
    document = _document(call.body)
    await _check_environments(call, document)
    expected = 0 if is_new else call.if_match

    async def build() -> Submission:
        command = PublishPolicy(name, document, expected, by=call.actor.subject)
        streams = (policy.stream_of(name), policy.ALL)
        others = [policy.stream_of(other) for other in await queries.policy_names(call.app.pool)]
        reads = tuple(stream for stream in others if stream not in streams)
        return Submission(
            command,
            streams,
            cause,
            call.actor,
            depends_on=reads,
            permission=ADMIN,
            reason=call.query.reason,
            under_locks=partial(_with_admins_and_models, call),
        )

    try:
        outcome = await routed(call.app.transactor, build)
    except Stale:
        if is_new:
            raise Problem(
                428,
                "if_match_required",
                f"There is a policy {name}: read it, then send its ETag as If-Match.",
            ) from None
        raise
    proposed = any(r.type == "PolicyProposed" for r in outcome.events)
    return await _policy(call, name, status=202 if proposed else 200)


async def _with_admins_and_models(
    call: Call[Any, Any], connection: Any, command: PublishPolicy
) -> PublishPolicy:
    """Return the command with the other admins and the models of this moment. No earlier grant is missed."""
    await call.app.access.catch_up()
    return replace(
        command,
        other_admins=tuple(await other_admins(call)),
        subjects=tuple(_subject(row) for row in await queries.subjects(connection)),
    )


async def preview_policy(call: Call[PolicyBody]) -> dict[str, Any]:
    """Return what publishing the policy would change, without a change."""
    call.require("admin", "")
    check_name(call.path["name"])
    document = _document(call.body)
    await _check_environments(call, document)
    checked(document)
    return await preview(call, call.path["name"], document, second_admin=bool(await other_admins(call)))


async def confirm_policy(call: Call[ConfirmBody]) -> Reply:
    """Publish a revision that another admin proposed.

    Only a person confirms it. Two admins of whom one issued a key of the other count as one.
    """
    call.require("admin", "")
    name, cause, me = call.path["name"], call.cause(), call.actor.subject

    async def build() -> Submission:
        row = await queries.policy(call.app.pool, name)
        proposal = msgspec.json.decode(row["proposal"]) if row and row["proposal"] is not None else None
        proposer = proposal["proposed_by"] if proposal else ""
        people = await recognised(call.app.pool, call.app.access, [me, proposer])
        command = ConfirmPolicy(name, call.body.revision, people[me], people[proposer])
        reads = tuple(stream_of(subject) for subject in behind(call, {me, proposer} - {""}))
        streams = (policy.stream_of(name),)
        return Submission(
            command,
            streams,
            cause,
            call.actor,
            depends_on=reads,
            permission=ADMIN,
            reason=call.body.reason,
        )

    await routed(call.app.transactor, build)
    return await _policy(call, name)


async def other_admins(call: Call[Any, Any]) -> list[str]:
    """Return the other people who are admin everywhere.

    An identity with the caller's name, or linked with the caller's, is no other.
    """
    found = [
        state.subject
        for state in call.app.access.identities.all()
        if state.kind == "person" and not state.disabled and permits(state, "admin", "")
    ]
    people = await recognised(call.app.pool, call.app.access, [call.actor.subject, *found])
    me = people[call.actor.subject]
    return [subject for subject in found if not me.is_same(people[subject])]


async def _check_environments(call: Call[PolicyBody], document: policy.Policy) -> None:
    """Raise NotFound for an environment that is not declared: a mistyped one would never be selected."""
    declared = await queries.environments(call.app.pool) if document.applies_to.environments else []
    for name in document.applies_to.environments if declared else ():
        if name not in declared:
            raise unknown_environment(name, declared)


def _document(body: PolicyBody) -> policy.Policy:
    return msgspec.convert(body.model_dump(mode="json"), policy.Policy)


def _subject(row: dict[str, Any]) -> Subject:
    tags = msgspec.json.decode(row["tags"], type=dict[str, str])
    return Subject(row["namespace"], row["kind"], row["tier"], tags)


async def get_policy(call: Call[None, PolicyQuery]) -> Reply:
    return await _policy(call, call.path["name"], call.query.revision)


async def _policy(call: Call[Any, Any], name: str, revision: int | None = None, status: int = 200) -> Reply:
    call.require_any_role()
    row = await queries.policy(call.app.pool, name, revision)
    if row is None:
        raise NotFound(
            "unknown_policy", f"there is no policy {name}: choose one of the list", listed_at="/v1/policies"
        )
    return Reply(row, status, etag=row["revision"])


async def list_policies(call: Call[None, PageQuery]) -> dict[str, Any]:
    call.require_any_role()
    after = call.query.after(str)
    rows = await queries.policies(call.app.pool, after[0] if after else "", call.query.page_size)
    return {"items": rows, "next_page_token": call.query.next_token(rows, "name")}


_ONE = "/v1/policies/{name}"
ROUTES = (
    Route(
        "PUT",
        _ONE,
        put_policy,
        "Publish the next revision of a policy",
        body=PolicyBody,
        query=PublicationQuery,
        response=PolicyAnswer,
        also=(202, 428),
        tags=["policies"],
    ),
    Route(
        "POST",
        _ONE + ":preview",
        preview_policy,
        "What publishing a policy would change",
        body=PolicyBody,
        response=PolicyPreview,
        tags=["policies"],
    ),
    Route(
        "POST",
        _ONE + ":confirm",
        confirm_policy,
        "Publish a weaker revision that another admin proposed",
        body=ConfirmBody,
        response=PolicyAnswer,
        tags=["policies"],
    ),
    Route(
        "GET",
        "/v1/policies",
        list_policies,
        "List the policies",
        query=PageQuery,
        response=PolicyPage,
        tags=["policies"],
    ),
    Route(
        "GET",
        _ONE,
        get_policy,
        "Get a policy as it is now, or as of a revision",
        query=PolicyQuery,
        response=PolicyAnswer,
        tags=["policies"],
    ),
)
