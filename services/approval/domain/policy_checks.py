"""What makes a policy valid."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from regista.wire.digests import NoDigest
from services.approval.domain.evidence import digest_of
from services.approval.domain.gate_checks import Manual, duration
from services.approval.domain.gate_kinds import Gate, params_of
from services.approval.domain.policy import PRODUCTION, PROMOTIONS, STAGES, VALIDATED, Policy, manual
from shared.deciding.decider import Unprocessable

LONGEST_REVIEW = timedelta(days=366)
"""The longest `expires_in` of a manual gate; checked when a policy is published.

A review that expires after the end of the calendar could not be opened: every request under such a policy
would fail.
"""


def checked(policy: Policy) -> str:
    """Return the policy's digest. Raises Unprocessable for a policy that could never be applied."""
    try:
        for stage, gates in policy.stages.items():
            _check_gates(stage, gates)
        _check_validated(policy)
        _check_people(policy)
        return digest_of(policy)
    except (ValueError, NoDigest) as e:
        raise Unprocessable("bad_policy", str(e)) from None


def _check_gates(stage: str, gates: Sequence[Gate]) -> None:
    if stage not in STAGES:
        raise ValueError(f"there is no stage {stage!r} with gates; use one of {', '.join(STAGES)}")
    people = [params for gate in gates if isinstance(params := params_of(gate), Manual)]
    if people and (stage not in PROMOTIONS or len(people) > 1):
        raise ValueError(
            "only promotions may have a manual gate, and only one; raise its number of approvers instead"
        )
    if any(params.lifetime > LONGEST_REVIEW for params in people):
        raise ValueError(f"a review stays open for {LONGEST_REVIEW.days}d at most; shorten expires_in")
    if len({gate.title for gate in gates}) < len(gates):
        raise ValueError(f"two gates of {stage} have the same name; name one of them")


def _check_people(policy: Policy) -> None:
    """Raise ValueError unless people approve Production, or the policy states that they do not, and why."""
    if duration(policy.break_glass.after_review_in) > LONGEST_REVIEW:
        raise ValueError(f"an after-review is due in {LONGEST_REVIEW.days}d at most; shorten it")
    if PRODUCTION not in policy.stages:
        if policy.unreviewed:
            raise ValueError("unreviewed is about gates for Production, and there are none; leave it out")
        return
    people = manual(policy.stages[PRODUCTION])
    if people and policy.unreviewed:
        raise ValueError("unreviewed contradicts the manual gate of Production; leave one of them out")
    if not people and not (policy.unreviewed and policy.unreviewed_reason.strip()):
        raise ValueError(
            "no person approves Production by these gates; add a manual gate, or state unreviewed: true with "
            "an unreviewed_reason"
        )


def _check_validated(policy: Policy) -> None:
    """Raise ValueError for what contradicts the policy's gates for Validated, or their absence."""
    if policy.applies_to.environments and VALIDATED in policy.stages:
        raise ValueError(
            "Validated has no environment; put its gates into a policy that selects no environments"
        )
    if policy.challenger_cap is not None and VALIDATED not in policy.stages:
        raise ValueError(
            "challenger_cap is for versions that the policy validates; add gates for Validated to it"
        )
    if policy.two_to_recall and VALIDATED not in policy.stages:
        raise ValueError(
            "two_to_recall is for versions that the policy validates; add gates for Validated to it"
        )
