"""What becomes of the versions that a change of a rollout takes out of service."""

from __future__ import annotations

from collections.abc import Iterable

from services.registry.domain.model.events import (
    PromotionSpent,
    RolledBack,
    RolloutChanged,
    VersionArchived,
    VersionValidated,
)
from services.registry.domain.model.fold import evolve
from services.registry.domain.model.state import (
    ModelState,
    is_production,
    rolled_out,
    serving_key,
    waits_in,
    was_champion,
)

Departure = PromotionSpent | VersionArchived | VersionValidated


def departures(state: ModelState, changed: RolloutChanged | RolledBack) -> list[Departure]:
    """Return the spent promotions and new stages of what left with this change, and of what it overtook."""
    after = evolve(state, changed)
    left = [x.number for x in changed.previous if x not in changed.entries]
    overtaken = sorted(number for key, number in state.waiting.items() if key not in after.waiting)
    numbers = dict.fromkeys((*left, *overtaken))
    champion = next((x.number for x in changed.entries if x.role == "champion"), 0)
    spent = [
        PromotionSpent(
            state.model,
            number,
            state.versions[number].semver,
            state.promoted[here],
            changed.environment,
            champion,
        )
        for number in numbers
        if (here := serving_key(changed.environment, number)) in state.promoted and here not in after.promoted
    ]
    return [*spent, *out_of_production(after, numbers)]


def out_of_production(state: ModelState, numbers: Iterable[int]) -> list[VersionArchived | VersionValidated]:
    """Return the new stage of those `numbers` that are in Production and have no promotion to serve by there.

    Only production environments count. A version that was champion, or is recalled, is archived when it is in
    no rollout of one. Another one is Validated again: it can be promoted again. So is a champion that other
    environments still use.
    """
    events: list[VersionArchived | VersionValidated] = []
    for number in numbers:
        version = state.versions[number]
        if version.stage != "Production" or _has_promotion(state, number):
            continue
        where = rolled_out(state, number)
        served = any(is_production(state, environment) for environment in where)
        used = any(
            not is_production(state, environment) for environment in (*where, *waits_in(state, number))
        )
        if not version.recalled and (not was_champion(state, number) or (used and not served)):
            events.append(VersionValidated(state.model, number, version.semver))
        elif not served:
            events.append(VersionArchived(state.model, number, version.semver))
    return events


def _has_promotion(state: ModelState, number: int) -> bool:
    if any(is_production(state, environment) for environment in waits_in(state, number)):
        return not state.versions[number].recalled
    return any(
        (here := serving_key(environment, number)) in state.promoted and here not in state.left
        for environment in rolled_out(state, number)
        if is_production(state, environment)
    )
