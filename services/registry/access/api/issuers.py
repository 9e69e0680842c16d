"""Trusted issuers, the roles of their groups, and the sign-ins of people."""

from __future__ import annotations

from typing import Any

from services.registry.access import names
from services.registry.access.api.calls import held_roles, submit, transactor
from services.registry.access.domain.issuers import (
    DistrustIssuer,
    MapGroup,
    RecordSignIn,
    TrustIssuer,
    UnmapGroup,
    check_issuer_url,
    existing_issuer,
    subject_of_url,
)
from services.registry.access.issuer_shapes import (
    DistrustQuery,
    IssuerAnswer,
    Issuers,
    MappedGroup,
    NewIssuer,
    SignInAnswer,
    SignInOptions,
)
from shared.deciding.access import (
    EVERYWHERE,
    AccessState,
    evolve_access,
    permits,
    stream_of,
)
from shared.deciding.acting import acting
from shared.deciding.decider import RuleBroken, Unprocessable
from shared.deciding.events import Actor
from shared.deciding.issuers import METHOD, subject_of_issuer
from shared.deciding.submission import Permission, Submission
from shared.http.problems import Problem
from shared.http.routes import Call, Reply, Route
from shared.identity import directory
from shared.identity.issuer_keys import Unreadable


async def read_sign_in(call: Call) -> dict[str, Any]:
    """Return what a client needs to begin a sign-in. Public: the caller has no credentials yet."""
    if not call.app.serving:
        raise Problem(
            503, "starting", "The service is not ready yet: repeat the request.", {"retry-after": "2"}
        )
    options = [
        one.issuer for one in call.app.access.identities.issuers() if one.issuer and one.issuer.trusted
    ]
    return {
        "issuers": [
            {"issuer": one.url, "client_id": one.client_id, "scopes": list(one.scopes)} for one in options
        ]
    }


async def record_sign_in(call: Call) -> Reply:
    """Record the person of the token, with the groups that have a role. Repeating it changes nothing."""
    token, access = call.token, call.app.access
    if token is None:  # the route signs in: no request comes here without one
        raise Problem(401, "unauthenticated", "Send the access token of the person who signs in.")
    await access.catch_up()
    subject = access.identities.subject_of(token.account) or f"u-{token.account[:20]}"
    call.actor = Actor(subject, method=METHOD + token.issuer)
    command = RecordSignIn(
        subject,
        token.issuer,
        token.account,
        token.groups,
        token.issued_at,
        token.auth_time,
        token.acr,
        token.amr,
    )
    of_issuer = subject_of_issuer(token.issuer)
    outcome = await transactor(call).submit(
        Submission(
            command, (stream_of(subject),), call.cause(), call.actor, depends_on=(stream_of(of_issuer),)
        )
    )
    if token.name:
        await names.store_first(call.app.pool, subject, token.name)
    state = access.identities.state_of(subject)
    for recorded in outcome.events:
        if not access.identities.has(recorded.stream, recorded.revision):
            state = evolve_access(state, recorded.event)
    state = acting(state, call.actor.method, access.identities.state_of(of_issuer))
    name = (await directory.stored_name(call.app.pool, subject)).name
    return Reply({"subject": subject, "name": name, "roles": held_roles(state), "until": token.expires_at})


async def list_issuers(call: Call) -> dict[str, Any]:
    """Return the issuers that are or were trusted. An admin of namespaces sees the groups there only."""
    call.require_any_role()
    await call.app.access.catch_up()
    if not {grant.role for grant in call.access_state.grants.values()} & {"admin", "auditor"}:
        call.require("auditor", "")
    return {"items": [_shown(call, one) for one in call.app.access.identities.issuers()]}


async def trust_issuer(call: Call[NewIssuer]) -> Reply:
    """Trust the tokens of an issuer from now on, or replace its settings. Its keys are read first."""
    call.require("admin", "")
    body = call.body
    check_issuer_url(body.issuer)
    try:
        await call.app.sign_ins.keys.read(body.issuer)
    except Unreadable as why:
        raise Unprocessable(
            "issuer_unreadable",
            f"The keys of the issuer cannot be read ({why}): check the URL and that it is reachable.",
        ) from why
    of_jobs = call.app.access.identities.trusting(body.issuer)
    if any(
        one.issuer == body.issuer and one.audience == body.audience
        for state in of_jobs
        for one in state.trusts.values()
    ):
        raise RuleBroken(
            "audience_of_jobs",
            f"Jobs exchange tokens of this issuer for the audience {body.audience!r}, so the sign-in "
            "of people needs another one: choose it.",
        )
    subject = subject_of_url(body.issuer)
    command = TrustIssuer(
        subject,
        body.issuer,
        body.audience,
        body.client_id,
        tuple(body.scopes),
        tuple(body.algorithms),
        body.groups_claim,
        call.actor.subject,
    )
    await submit(call, command, reason=body.reason)
    return await _answer(call, subject)


async def distrust_issuer(call: Call[None, DistrustQuery]) -> None:
    """End the trust: no token of the issuer counts any more."""
    call.require("admin", "")
    subject = subject_of_issuer(call.path["key"])
    await submit(call, DistrustIssuer(subject, call.actor.subject), reason=call.query.reason)


async def map_group(call: Call[MappedGroup]) -> Reply:
    """Give a role to who signs in as a member of a group. It counts from each person's next sign-in."""
    permission, subject = _administered(call, call.body), subject_of_issuer(call.path["key"])
    body = call.body
    command = MapGroup(subject, body.group, body.role, body.namespace, call.actor.subject)
    await submit(call, command, permission, body.reason)
    return await _answer(call, subject)


async def unmap_group(call: Call[None, MappedGroup]) -> None:
    """Take a role from a group, and from all its members immediately."""
    permission, subject = _administered(call, call.query), subject_of_issuer(call.path["key"])
    query = call.query
    command = UnmapGroup(subject, query.group, query.role, query.namespace, call.actor.subject)
    await submit(call, command, permission, query.reason)


def _administered(call: Call[Any, Any], mapped: MappedGroup) -> Permission:
    """Return the admin who may decide about the role: of everything, or of the namespace."""
    permission = Permission("admin", "" if mapped.namespace == EVERYWHERE else mapped.namespace)
    call.require(permission.role, permission.namespace)
    return permission


async def _answer(call: Call[Any, Any], subject: str) -> Reply:
    await call.app.access.catch_up()
    return Reply(_shown(call, call.app.access.identities.state_of(subject)))


def _shown(call: Call[Any, Any], state: AccessState) -> dict[str, Any]:
    issuer = existing_issuer(state.subject, state)
    sees_all = permits(call.access_state, "auditor", EVERYWHERE)
    mapped = [one for _, one in sorted(state.mapped.items())]
    return {
        "key": issuer.key,
        "issuer": issuer.url,
        "trusted": issuer.trusted,
        "audience": issuer.audience,
        "client_id": issuer.client_id,
        "scopes": list(issuer.scopes),
        "algorithms": list(issuer.algorithms),
        "groups_claim": issuer.groups_claim,
        "trusted_by": issuer.by,
        "groups": [
            {"group": one.group, "role": one.role, "namespace": one.namespace, "mapped_by": one.by}
            for one in mapped
            if sees_all or permits(call.access_state, "auditor", one.namespace)
        ],
    }


_ALL = "/v1/issuers"
_GROUPS = _ALL + "/{key}/groups"
_OPTIONS = "At which issuers people sign in"
_MAP, _UNMAP = "Give a role to a group of an issuer", "Take a role from a group of an issuer"
_T = ("access",)
ROUTES = (
    Route("GET", "/v1/sign-in", read_sign_in, _OPTIONS, response=SignInOptions, public=True, tags=_T),
    Route(
        "POST",
        "/v1/sign-ins",
        record_sign_in,
        "Sign in with a token",
        response=SignInAnswer,
        signs_in=True,
        tags=_T,
    ),
    Route("GET", _ALL, list_issuers, "Issuers and their groups", response=Issuers, tags=_T),
    Route(
        "POST",
        _ALL,
        trust_issuer,
        "Trust an issuer",
        body=NewIssuer,
        response=IssuerAnswer,
        status=201,
        tags=_T,
    ),
    Route("DELETE", _ALL + "/{key}", distrust_issuer, "Distrust an issuer", query=DistrustQuery, tags=_T),
    Route("POST", _GROUPS, map_group, _MAP, body=MappedGroup, response=IssuerAnswer, status=201, tags=_T),
    Route("DELETE", _GROUPS, unmap_group, _UNMAP, query=MappedGroup, tags=_T),
)
