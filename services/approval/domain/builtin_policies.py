"""The policies that approval publishes at its first start. An admin may replace them."""

from __future__ import annotations

from collections.abc import Mapping

from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import NON_PRODUCTION, PRODUCTION, VALIDATED, Policy, Selector

_NO_WORSE = Gate("no_regression", {"tolerance": 0.0, "different_data": "tick"})
_CALLERS = Gate("schema_compatible", {"breaking": "tick"})
_VALIDATED = (Gate("metadata_complete", {}), Gate("artifact_verified", {}), _NO_WORSE)


def _production(approvers: int) -> tuple[Gate, ...]:
    return (
        Gate("artifact_verified", {}),
        Gate("lineage_sound", {}),
        _NO_WORSE,
        _CALLERS,
        Gate("manual", {"approvers": approvers, "roles": ["approver"], "expires_in": "7d"}),
    )


BUILTIN: Mapping[str, Policy] = {
    "default": Policy(
        {VALIDATED: _VALIDATED, PRODUCTION: _production(2)},
        description="Complete, verified, made from nothing withdrawn, not worse than the champion on the "
        "same data; two people agree before Production, and accept by name what cannot be compared and what "
        "breaks callers.",
        priority=-100,
    ),
    "low-risk": Policy(
        {PRODUCTION: _production(1)},
        Selector(tiers=("low",)),
        description="One person is enough where the risk is low.",
        priority=-90,
    ),
    "non-production": Policy(
        {NON_PRODUCTION: (Gate("artifact_verified", {}),)},
        description="A Validated version with good bytes may serve outside production.",
        priority=-100,
    ),
}
