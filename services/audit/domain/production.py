"""Check from stored events alone that nothing reached Production without a decision (I9). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from regista.wire.digests import NoDigest, digest
from services.audit.domain.independence import independence_faults
from services.audit.domain.links import Identities
from shared.deciding.person import folded_name

Event = dict[str, Any]
IMPORT_NAME = ("system", "uri", "id", "number")


def production_faults(
    promoted: Event,
    promotion: Sequence[Event],
    policy: Event | None,
    identities: Identities,
    registered: Event | None = None,
) -> list[str]:
    """Return what is wrong with one VersionPromoted.

    `promotion`: all events of its promotion and of the review that its grant names, in the log's order.
    `policy`: the PolicyPublished that the grant names. `identities`: those of the people whom it names.
    `registered`: the event that had the version's metadata then, for a promotion that adopts (`adopts`).
    """
    requested, granted = _of(promotion, "PromotionRequested"), _of(promotion, "PromotionGranted")
    if not requested:
        return ["the promotion was never requested"]
    if not granted:
        return ["there is no grant"]
    grant, request, data = granted[-1]["data"], requested[-1]["data"], promoted["data"]
    stage = "NonProduction" if data.get("production") is False else "Production"
    faults = independence_faults(granted[-1], promotion, policy, identities, stage)
    if not grant.get("digest") or {grant.get("digest"), data.get("digest")} != {request.get("digest")}:
        faults.append("request, grant and promotion are not about the same digest")
    if any(grant.get(name) != data.get(name) for name in ("number", "environment")):
        faults.append("the grant is about another version or environment")
    before = promotion[: promotion.index(granted[-1])]
    evaluated = [e["data"] for e in _of(before, "GatesEvaluated")]
    gates = evaluated[-1] if evaluated else {}
    if not grant.get("evidence_digest") or (gates.get("evidence_digest"), gates.get("policy")) != (
        grant["evidence_digest"],
        grant.get("policy"),
    ):
        faults.append(
            "the last gate evaluation was not over the evidence and the policy that the grant names"
        )
    if grant.get("override"):
        return faults + _override_faults(grant, gates, promotion, before, registered)
    if not gates.get("passed"):
        faults.append("the last gate evaluation did not pass")
    makers = {
        request.get("requester"),
        request.get("creator"),
        request.get("on_behalf_of"),
        *((gates.get("evidence") or {}).get("makers") or ()),
    }
    return faults + _approval_faults(grant, makers, promotion, policy, stage)


def adopts(promotion: Iterable[Event]) -> bool:
    """Return whether an override of the promotion takes over what serves in another registry."""
    return any(e["data"].get("adopts") for e in _of(promotion, "OverrideUsed"))


def _override_faults(
    grant: dict[str, Any],
    gates: dict[str, Any],
    promotion: Sequence[Event],
    before: Sequence[Event],
    registered: Event | None,
) -> list[str]:
    """Check that an approver whom the grant names used the override on the same version and facts."""
    used = [
        e for e in _of(promotion, "OverrideUsed") if e["data"].get("by") in (grant.get("approvers") or ())
    ]
    used = [
        e
        for e in used
        if all(
            (e["data"].get("about") or {}).get(n, e["data"].get(n)) == grant.get(n)
            for n in ("number", "environment")
        )
    ]
    if not used:
        return ["the override was never recorded, or for another version, environment or person"]
    faults = (
        []
        if any(e["data"].get("seal") == _seal_of(gates) for e in used)
        else ["the override sealed other facts than those granted"]
    )
    if any(e["data"].get("justified") is False for e in _of(before, "OverrideReviewed")):
        faults.append("the override was found unjustified before it granted this")
    return faults + [fault for e in used for fault in _adoption_faults(e["data"], registered)]


def _adoption_faults(used: dict[str, Any], registered: Event | None) -> list[str]:
    """Check that an override which adopts names the source of this version, a reason, and that it serves."""
    if not (claim := used.get("adopts")):
        return []
    metadata = (registered["data"].get("metadata") or {}) if registered else {}
    source = metadata.get("imported_from") or {}
    faults = []
    if any(not claim.get(name) or claim.get(name) != source.get(name) for name in IMPORT_NAME):
        faults.append("the override adopts a version elsewhere from which this one was not imported")
    if not claim.get("stage") or not str(used.get("reason") or "").strip():
        faults.append("the override adopts a version elsewhere without its stage there or without a reason")
    if not used.get("serve"):
        faults.append("the override adopts what serves elsewhere, and its promotion did not make it serve")
    return faults


def _seal_of(gates: dict[str, Any]) -> dict[str, Any]:
    """Return what a review or an override of these facts seals."""
    evidence = gates.get("evidence") or {}
    named = {
        "version": evidence.get("version_digest"),
        "artifact": evidence.get("artifact_digest"),
        "policy": (gates.get("policy") or {}).get("digest"),
    }
    try:
        return named | {"evidence": digest(evidence | {"champion": None, "model": ""})}
    except NoDigest:
        return {}


def _approval_faults(
    grant: dict[str, Any], makers: set[Any], promotion: Sequence[Event], policy: Event | None, stage: str
) -> list[str]:
    faults = [] if policy else ["the policy that the grant names was never published"]
    approvals = {
        str(e["data"].get("approver")): e["data"].get("sealed_digest")
        for e in _of(promotion, "ReviewApproved")
    }
    reviews, needed = _of(promotion, "ReviewOpened"), needed_by(policy, stage) if policy else 0
    if reviews:
        opened = reviews[-1]["data"]
        current = {who for who, sealed in approvals.items() if sealed == opened.get("sealed_digest")}
        named = set(grant.get("approvers") or ())
        least = max(needed, opened.get("needs") or 0, 1)
        if len(current & named) < least:
            faults.append(f"{len(current & named)} approvals of what was shown, {least} needed")
        if not named <= current:
            faults.append("the grant names approvers who did not approve what was shown")
    elif needed:
        faults.append(f"the policy requires {needed} approvals and there was no review")
    elif stage == "Production" and policy and not (policy["data"].get("policy") or {}).get("unreviewed"):
        faults.append("no person approved it, and the policy does not say that it is unreviewed")
    made = {folded_name(str(who)) for who in makers if who}
    if own := [who for who in approvals if folded_name(who) in made]:
        faults.append(f"approved by a person who made or requested it: {', '.join(own)}")
    return faults


def needed_by(policy: Event, stage: str) -> int:
    """Return how many approvers a policy requires for a promotion: to Production, or to NonProduction."""
    gates = ((policy["data"].get("policy") or {}).get("stages") or {}).get(stage) or ()
    return next(
        (int((g.get("params") or {}).get("approvers", 1)) for g in gates if g.get("kind") == "manual"), 0
    )


def champion_of(serving: Event) -> int | None:
    """Return the version that a RolloutChanged or RolledBack makes the champion."""
    data: dict[str, Any] = serving["data"]
    number: int | None = next(
        (
            e.get("number")
            for e in data.get("entries") or ()
            if isinstance(e, dict) and e.get("role") == "champion"
        ),
        data.get("to_number"),
    )
    return number


def serving_faults(serving: Event, promoted_at: Mapping[tuple[str, str, int], int]) -> list[str]:
    """Return what is wrong with a new champion, which must have been promoted there before.

    `promoted_at`: (stream, environment, number) → first revision that promoted it.
    """
    number, environment = champion_of(serving), serving["data"].get("environment")
    if number is None:
        return []
    before = promoted_at.get((serving["stream"], str(environment), number))
    if before is not None and before < serving["revision"]:
        return []
    return [f"version {number} became champion of {environment} and was never promoted there"]


def _of(events: Iterable[Event], type_: str) -> list[Event]:
    return [event for event in events if event["type"] == type_]
