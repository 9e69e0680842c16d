"""Trusts: which jobs act as which publisher. Only an admin of everything decides about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.registry.access.api.calls import submit
from services.registry.access.domain.issuers import check_issuer_url
from services.registry.access.domain.trusts import AddTrust, RemoveTrust, same_trust, unknown_trust
from services.registry.access.trust_shapes import NewTrust, RemoveTrustQuery, TrustAnswer, Trusts
from services.registry.parts import Parts
from shared.deciding.access import AccessState
from shared.deciding.decider import RuleBroken, Unprocessable
from shared.deciding.submission import new_id
from shared.deciding.trusts import Claim, Trust
from shared.http.routes import Call, Reply, Route
from shared.identity.issuer_keys import Unreadable


async def list_trusts(call: Call) -> dict[str, Any]:
    """Return the trusts of all publishers, for admins and auditors of everything."""
    call.require("auditor", "")
    await call.app.access.catch_up()
    publishers = call.app.access.identities.publishers_with_trusts()
    return {"items": [_shown(state, one) for state in publishers for _, one in sorted(state.trusts.items())]}


async def add_trust(call: Call[NewTrust]) -> Reply:
    """Let the jobs of a project act as a publisher. The issuer's keys are read first."""
    call.require("admin", "")
    body = call.body
    check_issuer_url(body.issuer)
    await _check_issuer(call, body)
    command = AddTrust(
        body.publisher,
        f"t-{new_id(call.cause(), 'trust').hex[:12]}",
        body.issuer,
        body.audience,
        tuple(dict.fromkeys(body.algorithms)),
        tuple(Claim(one.name, one.value) for one in body.claims),
        body.starter_claim,
        tuple(dict.fromkeys(body.namespaces)),
        call.actor.subject,
    )
    await submit(call, command, reason=body.reason)
    await call.app.access.catch_up()
    state = call.app.access.identities.state_of(body.publisher)
    added = state.trusts.get(command.trust_id) or same_trust(command, state)
    if added is None:
        raise RuleBroken("trust_ended", "Another admin has just removed this trust: list the trusts.")
    return Reply(_shown(state, added), 201)


async def _check_issuer(call: Call[Any], body: NewTrust) -> None:
    of_people = call.app.access.identities.issuer(body.issuer)
    if of_people is not None and of_people.issuer and of_people.issuer.audience == body.audience:
        raise RuleBroken(
            "audience_of_people",
            f"People sign in with tokens of this issuer for the audience {body.audience!r}, so tokens of "
            "jobs need another one: choose it, and request it in the job.",
        )
    try:
        await call.app.parts_as(Parts).job_tokens.keys.read(body.issuer)
    except Unreadable as why:
        raise Unprocessable(
            "issuer_unreadable",
            f"The keys of the issuer cannot be read ({why}): check the URL and that it is reachable.",
        ) from why


async def remove_trust(call: Call[None, RemoveTrustQuery]) -> None:
    """End a trust: no job gets a key by it any more, and the keys that jobs have end immediately."""
    call.require("admin", "")
    await call.app.access.catch_up()
    trust_id = call.path["trust_id"]
    publishers = call.app.access.identities.publishers_with_trusts()
    state = next((one for one in publishers if trust_id in one.trusts), None)
    if state is None:
        raise unknown_trust(trust_id)
    command = RemoveTrust(state.subject, trust_id, call.actor.subject)
    await submit(call, command, reason=call.query.reason)


def _shown(state: AccessState, one: Trust) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "trust_id": one.trust_id,
        "issuer": one.issuer,
        "audience": one.audience,
        "algorithms": list(one.algorithms),
        "claims": [{"name": claim.name, "value": claim.value} for claim in one.claims],
        "publisher": state.subject,
        "namespaces": list(one.namespaces),
        "starter_claim": one.starter_claim,
        "added_by": one.by,
        "live_keys": sum(key.trust == one.trust_id and key.live(now) for key in state.keys.values()),
    }


_ALL = "/v1/trusts"
_T = ("access",)
ROUTES = (
    Route("GET", _ALL, list_trusts, "Trusts in jobs", response=Trusts, tags=_T),
    Route(
        "POST",
        _ALL,
        add_trust,
        "Let jobs act as a publisher",
        body=NewTrust,
        response=TrustAnswer,
        status=201,
        tags=_T,
    ),
    Route("DELETE", _ALL + "/{trust_id}", remove_trust, "Remove a trust", query=RemoveTrustQuery, tags=_T),
)
