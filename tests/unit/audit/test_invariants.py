"""No Production without a decision: what an auditor who trusts no service finds in the stored events of one promotion."""

from __future__ import annotations

import pytest

from services.audit.domain.invariants import production_faults, serving_faults

STREAM = "model-m"


def event(type_, revision=1, **data):
    return {"type": type_, "stream": STREAM, "revision": revision, "data": data}


PROMOTED = event("VersionPromoted", number=2, environment="production", digest="d", promotion_id="p")
ASKED = event("PromotionRequested", number=2, environment="production", digest="d", requester="ann", creator="dora", on_behalf_of="bob")
GATES = event("GatesEvaluated", passed=True)
OPENED = event("ReviewOpened", needs=2, sealed_digest="seal")


def approved(who, seal="seal"):
    return event("ReviewApproved", approver=who, sealed_digest=seal)


def granted(**changes):
    return event(
        "PromotionGranted", **{"number": 2, "environment": "production", "digest": "d", "approvers": ["bea", "carl"], "override": False} | changes
    )


HONEST = [ASKED, GATES, OPENED, approved("bea"), approved("carl"), granted()]


def test_a_promotion_with_its_request_its_approvals_and_its_grant_is_in_order():
    assert production_faults(PROMOTED, HONEST) == []


def test_a_promotion_by_passing_gates_alone_needs_no_review():
    assert production_faults(PROMOTED, [ASKED, GATES, granted(approvers=[])]) == []


def test_a_recorded_override_is_a_decision():
    assert production_faults(PROMOTED, [ASKED, event("OverrideUsed"), granted(override=True)]) == []


@pytest.mark.parametrize(
    ("promotion", "fault"),
    [
        ([], "nobody asked"),
        ([ASKED], "no grant"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("carl"), granted(digest="other")], "same digest"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("carl"), granted(number=3)], "another version"),
        ([ASKED, GATES, OPENED, approved("bea"), granted(approvers=["bea"])], "1 approvals"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("bea"), granted(approvers=["bea"])], "1 approvals"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("carl", "an older seal"), granted()], "1 approvals"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("carl"), granted(approvers=["bea", "erik"])], "did not approve"),
        ([ASKED, GATES, OPENED, approved("bea"), approved("dora"), granted(approvers=["bea", "dora"])], "made it or asked"),
        ([ASKED, GATES, OPENED, approved("ann"), approved("carl"), granted(approvers=["ann", "carl"])], "made it or asked"),
        ([ASKED, GATES, OPENED, approved("bob"), approved("carl"), granted(approvers=["bob", "carl"])], "made it or asked"),
        ([ASKED, granted(approvers=[])], "neither a review nor a passing gate"),
        ([ASKED, event("GatesEvaluated", passed=False), granted(approvers=[])], "neither a review nor a passing gate"),
        ([ASKED, granted(override=True)], "never recorded"),
    ],
)
def test_whatever_is_missing_or_does_not_fit_is_named(promotion, fault):
    assert any(fault in found for found in production_faults(PROMOTED, promotion))


PROMOTED_AT = {(STREAM, "production", 2): 5}


@pytest.mark.parametrize(
    ("change", "in_order"),
    [
        (event("RolloutChanged", 6, environment="production", entries=[{"number": 2, "role": "champion"}, {"number": 9, "role": "shadow"}]), True),
        (event("RolloutChanged", 4, environment="production", entries=[{"number": 2, "role": "champion"}]), False),
        (event("RolloutChanged", 6, environment="eu", entries=[{"number": 2, "role": "champion"}]), False),
        (event("RolledBack", 6, environment="production", to_number=2, entries=[]), True),
        (event("RolledBack", 6, environment="production", to_number=1, entries=[]), False),
        (event("RolloutChanged", 6, environment="production", entries=[]), True),
    ],
)
def test_only_what_was_promoted_there_before_becomes_champion(change, in_order):
    assert (serving_faults(change, PROMOTED_AT) == []) is in_order
