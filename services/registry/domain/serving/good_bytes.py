"""What to do about a version whose bytes are not noted as good."""

from __future__ import annotations

from services.registry.domain.model.state import ModelState, VersionState
from shared.deciding.decider import RuleBroken

STEPS = frozenset({"verify", "restore", "register"})


def way_to_good_bytes(version: VersionState) -> tuple[str, str]:
    """Return the next step to good bytes: its short name, and in words.

    Stored copies that were found damaged are replaced by the copy of a later version with the same bytes.
    """
    if version.failed:
        return "register", "publish its files again as a new version, because its own bytes can never be good"
    if version.withheld:
        return "verify", "wait until they are available again after its withdrawal was undone"
    if version.artifact:
        return "restore", "publish its files again, which also makes the bytes of this version good"
    return "verify", "wait for their verification"


def not_good(state: ModelState, number: int) -> RuleBroken:
    """Return the refusal of a version whose bytes are not noted as good."""
    step, way = way_to_good_bytes(state.versions[number])
    return RuleBroken(
        "artifact_not_good",
        f"The bytes of {state.model} version {number} are not noted as good: {way}.",
        number=number,
        next_step=step,
    )
