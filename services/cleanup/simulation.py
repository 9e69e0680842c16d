"""Simulate a cleanup run: judge every version as it is now, page by page, and record nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import to_builtins

from services.cleanup import queries
from services.cleanup.domain.defaults import inherited
from services.cleanup.domain.plan import Plan, plan
from services.cleanup.domain.policy import RetentionPolicy
from services.cleanup.domain.retention_events import VersionMarked, VersionSpared
from services.cleanup.domain.retention_state import State
from shared.log.transact import Transactor

SHOWN = 1_000
"""Versions that a simulation shows. Only these get a verdict in words."""

MODELS_OF_A_PAGE = 500


async def simulated(
    transactor: Transactor, scope: str, policy: RetentionPolicy | None, namespace: str = ""
) -> dict[str, Any]:
    """Return the plan of a cleanup run over all models, those of a namespace, or one (`scope`).

    Each model is judged by the policy in force for it, or by `policy` where one is given. The versions that
    would be marked come first, up to SHOWN versions in all.
    """
    now = datetime.now(UTC)
    inheritable = {name: default for name, (default, _) in (await queries.defaults(transactor.pool)).items()}
    shown = _Shown(policy, inheritable)
    models, after, page = 0, "", [""]
    while page:
        page = await queries.model_ids(transactor.pool, after, scope, MODELS_OF_A_PAGE, namespace)
        states = await queries.states_of(transactor, page)
        # A large model takes a while: the process answers other requests meanwhile.
        await asyncio.to_thread(shown.add, states, now)
        models += len(page)
        if len(page) < MODELS_OF_A_PAGE:
            break
        after = page[-1]
    verdicts = await asyncio.to_thread(shown.verdicts)
    return {
        "dry_run": True,
        "at": now,
        "models": models,
        "versions": shown.marked + shown.spared,
        "verdicts": {"marked": shown.marked, "spared": shown.spared},
        "items": [_item(verdict) for verdict in verdicts],
        "truncated": shown.marked + shown.spared > len(verdicts),
    }


class _Shown:
    """The counts of the plans so far, and the first versions of each kind."""

    def __init__(self, policy: RetentionPolicy | None, inheritable: Mapping[str, RetentionPolicy]) -> None:
        self._policy, self._inheritable = policy, inheritable
        self.marked = 0
        self.spared = 0
        self._first_marked: list[tuple[Plan, int]] = []
        self._first_spared: list[tuple[Plan, int]] = []

    def add(self, states: Sequence[State], now: datetime) -> None:
        """Judge every version of these models."""
        for state in states:
            made = plan(state, now, self._policy or self._in_force(state))
            self.marked += len(made.marked)
            self.spared += len(made.spared)
            for first, numbers in ((self._first_marked, made.marked), (self._first_spared, made.spared)):
                first += [(made, number) for number in numbers[: SHOWN - len(first)]]

    def _in_force(self, state: State) -> RetentionPolicy:
        return state.policy if state.policy_revision else inherited(self._inheritable, state.model).policy

    def verdicts(self) -> list[VersionMarked | VersionSpared]:
        """Return the verdicts in words, those of marked versions first."""
        chosen = [*self._first_marked, *self._first_spared][:SHOWN]
        return [made.verdict(number) for made, number in chosen]


def _item(verdict: VersionMarked | VersionSpared) -> dict[str, Any]:
    version = {
        "model_id": verdict.model_id,
        "model": verdict.model,
        "number": verdict.number,
        "semver": verdict.semver,
    }
    if isinstance(verdict, VersionMarked):
        return version | {
            "verdict": "marked",
            "rule": verdict.rule,
            "reasons": [{"code": verdict.rule, "detail": verdict.reason}],
            "delete_after": verdict.delete_after,
        }
    return version | {
        "verdict": "spared",
        "rule": "",
        "reasons": to_builtins(verdict.reasons),
        "delete_after": None,
    }
