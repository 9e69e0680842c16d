"""Shapes of the withdrawal, and the reinstatement, of several versions in one step."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.registry.domain.model.state import Stage
from services.registry.shapes.common import RequiredReason
from services.registry.shapes.versions import VersionRolloutAnswer
from shared.http.routes import Body


class _Planned(RequiredReason):
    """`dry_run` returns what the step would do, with the `plan`. The step needs the plan that was read."""

    plan: str | None = Field(default=None, max_length=100)
    dry_run: bool = False


class WithdrawTrained(_Planned):
    """Withdraw every version that was trained on a data set. `trained_on`: its name or digest."""

    trained_on: str = Field(min_length=1, max_length=500)


class ReinstateWithdrawal(_Planned):
    """Undo a mistaken step. Only a person who neither withdrew nor proposed it may."""

    withdrawal_id: str = Field(min_length=1, max_length=100)


class WithdrawnVersion(Body):
    """A version and where it serves now.

    `proposed`: its policy wants a second person, who repeats the step. `unchanged`: it was in that state
    before. `refused`: `detail` states why.
    """

    model_id: str
    model: str
    number: int
    semver: str | None
    stage: Stage
    rollouts: list[VersionRolloutAnswer]
    outcome: Literal["withdrawn", "proposed", "reinstated", "unchanged", "refused"]
    detail: str


class WithdrawalAnswer(Body):
    """What the step did, or with `dry_run` would do. `plan` is the digest of the versions that it changes."""

    withdrawal_id: str
    plan: str
    dry_run: bool
    versions: list[WithdrawnVersion]
