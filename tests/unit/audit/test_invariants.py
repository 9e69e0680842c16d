"""No Production without a decision: what an auditor who trusts no service finds in the stored events of one
promotion.
"""

from __future__ import annotations

import pytest

from regista.wire.digests import digest
from services.audit.domain import production
from services.audit.domain.production import serving_faults

STREAM = "model-m"


def event(type_, revision=1, actor="system:bootstrap", **data):
    return {
        "type": type_,
        "stream": STREAM,
        "revision": revision,
        "data": data,
        "actor": {"subject": actor},
        "recorded_at": "2026-11-01",
        "leaf_index": 0,
    }


def person(kind="person", *events):
    return [event("IdentityCreated", kind=kind), *events]


PEOPLE = {who: person() for who in ("bea", "carl", "erik", "dora", "ann", "bob", "eve", "olga")}


PROMOTED = event("VersionPromoted", number=2, environment="production", digest="d", promotion_id="p")
ASKED = event(
    "PromotionRequested",
    number=2,
    environment="production",
    digest="d",
    requester="ann",
    creator="dora",
    on_behalf_of="bob",
)
RULES = {"name": "default", "revision": 1, "digest": "rules"}
EVIDENCE = {
    "version_digest": "leaf",
    "artifact_digest": "bytes",
    "champion": {"number": 1},
    "model": "team.m",
    "makers": ["Eve"],
}


def gates(evidence_digest="e", *, passed=True, policy=RULES):
    return event(
        "GatesEvaluated", passed=passed, evidence_digest=evidence_digest, evidence=EVIDENCE, policy=policy
    )


def policy(*people):
    """Return a published policy with a manual gate for each number of approvers; without one, none."""
    manual = [{"kind": "manual", "params": {"approvers": n}} for n in people]
    return event(
        "PolicyPublished",
        name="default",
        digest="rules",
        policy={"stages": {"Production": [{"kind": "metric", "params": {}}, *manual]}},
    )


TWO_APPROVERS, NO_APPROVERS = policy(2), policy()
NO_APPROVERS["data"]["policy"]["unreviewed"] = True


def production_faults(promoted, promotion, rules=TWO_APPROVERS, identities=PEOPLE):
    return production.production_faults(promoted, promotion, rules, identities)


GATES = gates()
OPENED = event("ReviewOpened", needs=2, sealed_digest="seal")


def approved(who, seal="seal"):
    return event("ReviewApproved", approver=who, sealed_digest=seal)


def granted(**changes):
    return event(
        "PromotionGranted",
        **{
            "number": 2,
            "environment": "production",
            "digest": "d",
            "approvers": ["bea", "carl"],
            "override": False,
            "evidence_digest": "e",
            "policy": RULES,
        }
        | changes,
    )


SEAL = {
    "version": "leaf",
    "artifact": "bytes",
    "policy": "rules",
    "evidence": digest(EVIDENCE | {"champion": None, "model": ""}),
}


def overridden(**changes):
    """The glass was broken, as a rule on an earlier promotion of the same version."""
    about = {"promotion_id": "earlier", "number": changes.pop("number", 2)}
    return event(
        "OverrideUsed", about=about, **{"environment": "production", "by": "olga", "seal": SEAL} | changes
    )


OVERRIDE = granted(override=True, approvers=["olga"])


COMPLETE = [ASKED, GATES, OPENED, approved("bea"), approved("carl"), granted()]


def test_a_promotion_outside_production_needs_the_approvers_of_its_own_gates():
    outside = PROMOTED | {"data": PROMOTED["data"] | {"production": False}}
    unreviewed = [ASKED, GATES, granted(approvers=[])]
    assert production_faults(outside, unreviewed) == []
    assert production_faults(PROMOTED, unreviewed) == [
        "the policy requires 2 approvals and there was no review"
    ]


def test_a_promotion_with_its_request_its_approvals_and_its_grant_is_in_order():
    assert production_faults(PROMOTED, COMPLETE) == []


def test_a_promotion_by_passing_gates_alone_needs_no_review():
    assert production_faults(PROMOTED, [ASKED, GATES, granted(approvers=[])], NO_APPROVERS) == []


def test_a_recorded_override_is_a_decision():
    assert production_faults(PROMOTED, [ASKED, overridden(), gates(passed=False), OVERRIDE]) == []


THERE = {"system": "mlflow", "uri": "https://mlflow.example.com", "id": "churn", "number": "7"}
IMPORTED = event("VersionRegistered", number=2, metadata={"imported_from": THERE | {"stage": "Production"}})


def adopted(registered=IMPORTED, **changes):
    claim = THERE | {"stage": "Production", "read_at": "2026-11-01"} | changes.pop("claim", {})
    used = overridden(adopts=claim, **{"serve": True, "reason": "we move"} | changes)
    promotion = [ASKED, used, gates(passed=False), OVERRIDE]
    return production.production_faults(PROMOTED, promotion, TWO_APPROVERS, PEOPLE, registered)


def test_an_adoption_of_the_version_that_was_imported_from_there_is_a_decision():
    assert adopted() == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"registered": None}, "was not imported"),
        ({"registered": event("VersionRegistered", number=2, metadata={})}, "was not imported"),
        ({"claim": {"number": "8"}}, "was not imported"),
        ({"claim": {"stage": ""}}, "without its stage"),
        ({"reason": " "}, "without a reason"),
        ({"serve": False}, "did not make it serve"),
    ],
)
def test_an_adoption_that_the_log_contradicts_is_reported(changes, fault):
    (found,) = adopted(**changes)
    assert fault in found


@pytest.mark.parametrize(
    ("promotion", "fault"),
    [
        ([], "never requested"),
        ([ASKED], "no grant"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("carl"), granted(digest="other")], "same digest"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("carl"), granted(number=3)], "another version"),
        ([ASKED, GATES, OPENED, approved("bea"), granted(approvers=["bea"])], "1 approvals"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("bea"), granted(approvers=["bea"])], "1 approvals"),
        (
            [ASKED, GATES, OPENED, approved("bea"), approved("carl", "an older seal"), granted()],
            "1 approvals",
        ),
        (
            [ASKED, GATES, OPENED, approved("bea"), approved("carl"), granted(approvers=["bea", "erik"])],
            "did not approve",
        ),
        (
            [ASKED, GATES, OPENED, approved("bea"), approved("dora"), granted(approvers=["bea", "dora"])],
            "made or requested it",
        ),
        (
            [ASKED, GATES, OPENED, approved("ann"), approved("carl"), granted(approvers=["ann", "carl"])],
            "made or requested it",
        ),
        (
            [ASKED, GATES, OPENED, approved("bob"), approved("carl"), granted(approvers=["bob", "carl"])],
            "made or requested it",
        ),
        (
            [ASKED, GATES, OPENED, approved("eve"), approved("carl"), granted(approvers=["eve", "carl"])],
            "made or requested it",
        ),
        ([ASKED, GATES, granted(approvers=[])], "requires 2 approvals and there was no review"),
        (
            [ASKED, OPENED, approved("bea"), approved("carl"), granted()],
            "last gate evaluation was not over the evidence",
        ),
        (
            [ASKED, gates("older"), OPENED, approved("bea"), approved("carl"), granted()],
            "last gate evaluation was not over the evidence",
        ),
        (
            [
                ASKED,
                gates(policy=RULES | {"digest": "x"}),
                OPENED,
                approved("bea"),
                approved("carl"),
                granted(),
            ],
            "the policy that the grant names",
        ),
        (
            [ASKED, GATES, gates(passed=False), OPENED, approved("bea"), approved("carl"), granted()],
            "last gate evaluation did not pass",
        ),
        ([ASKED, GATES, granted(), gates("newer")], "no review"),
        (
            [
                ASKED,
                GATES,
                event("ReviewOpened", needs=1, sealed_digest="seal"),
                approved("bea"),
                granted(approvers=["bea"]),
            ],
            "1 approvals",
        ),
        ([ASKED, GATES, OVERRIDE], "never recorded"),
        ([ASKED, GATES, overridden(number=3), OVERRIDE], "for another version"),
        ([ASKED, GATES, overridden(environment="eu"), OVERRIDE], "environment or person"),
        ([ASKED, GATES, overridden(by="erik"), OVERRIDE], "environment or person"),
        ([ASKED, GATES, overridden(seal=SEAL | {"artifact": "other"}), OVERRIDE], "sealed other facts"),
        (
            [ASKED, GATES, overridden(), event("OverrideReviewed", justified=False), OVERRIDE],
            "found unjustified before",
        ),
    ],
)
def test_each_missing_or_wrong_part_is_named(promotion, fault):
    assert any(fault in found for found in production_faults(PROMOTED, promotion))


def test_a_review_without_approvers_is_no_decision():
    opened = event("ReviewOpened", needs=0, sealed_digest="seal")
    assert production_faults(PROMOTED, [ASKED, GATES, opened, granted(approvers=[])], NO_APPROVERS) == [
        "0 approvals of what was shown, 1 needed"
    ]


def test_a_policy_that_was_never_published_does_not_justify_a_grant():
    assert production_faults(PROMOTED, COMPLETE, None) == [
        "the policy that the grant names was never published"
    ]


def test_an_override_found_unjustified_afterwards_was_still_a_decision():
    assert (
        production_faults(
            PROMOTED, [ASKED, GATES, overridden(), OVERRIDE, event("OverrideReviewed", justified=False)]
        )
        == []
    )


PROMOTED_AT = {(STREAM, "production", 2): 5}


@pytest.mark.parametrize(
    ("change", "in_order"),
    [
        (
            event(
                "RolloutChanged",
                6,
                environment="production",
                entries=[{"number": 2, "role": "champion"}, {"number": 9, "role": "shadow"}],
            ),
            True,
        ),
        (
            event("RolloutChanged", 4, environment="production", entries=[{"number": 2, "role": "champion"}]),
            False,
        ),
        (event("RolloutChanged", 6, environment="eu", entries=[{"number": 2, "role": "champion"}]), False),
        (event("RolledBack", 6, environment="production", to_number=2, entries=[]), True),
        (event("RolledBack", 6, environment="production", to_number=1, entries=[]), False),
        (event("RolloutChanged", 6, environment="production", entries=[]), True),
    ],
)
def test_only_what_was_promoted_there_before_becomes_champion(change, in_order):
    assert (serving_faults(change, PROMOTED_AT) == []) is in_order
