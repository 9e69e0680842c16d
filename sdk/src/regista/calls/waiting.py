"""Wait until a version reached a stage, or until a promotion is carried out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar

from regista.calls.promotion import PromotionCalls
from regista.calls.requests import Json
from regista.calls.versions import VersionCalls
from regista.errors import NotFound, RegistaError, RuleBroken, TimedOut
from regista.shapes.approval import PromotionAnswer
from regista.shapes.registry import VersionAnswer

Goal = Literal["validated", "production"]
T = TypeVar("T")
FIRST, LONGEST = 0.2, 2.0
"""The first and the longest pause between two looks, in seconds."""
SETTLED = 5.0
"""Seconds after which a failed verdict ends the wait: a new evaluation may be under way until then."""
_REACHED = {"validated": {"Validated", "Production"}, "production": {"Production"}}


class WaitingCalls(VersionCalls, PromotionCalls):
    """All calls about versions and promotions; and wait for what the services decide in the background."""

    async def wait_for(
        self, reference: str, until: Goal = "validated", seconds: float = 60.0
    ) -> VersionAnswer:
        """Return the version once it is Validated (or in Production), or in Production.

        Raises RuleBroken when it cannot get there: `gates_failed` with every gate that failed, a version that
        is rejected, withdrawn, retired, archived or a draft, a promotion that was refused. Raises TimedOut
        with what it waits for.
        """
        version = await self.version(reference)
        reference = f"{version['model_id']}@{version['number']}"
        failing_since: list[float] = []

        async def look() -> VersionAnswer | None:
            found = await self.version(reference)
            if found["stage"] in _REACHED[until] and not found.get("withdrawn"):
                return found
            if why := ended(found, until):
                raise why
            failed = _failed_gates(found)
            if not failed:
                failing_since.clear()
            elif not failing_since:
                failing_since.append(time.monotonic())
            elif time.monotonic() - failing_since[0] >= min(SETTLED, seconds / 2):
                raise failed
            version.update(found)
            return None

        if (reached := await _until(look, seconds)) is not None:
            return reached
        if failed := _failed_gates(version):
            raise failed
        name = f"{version['model']}@{version['number']}"
        raise TimedOut(
            f"not_{until}_yet",
            f"{name} is {version['stage']} after {seconds:.0f} s: {_waits_for(version, until)}",
            advice=f"Wait again: `regista versions wait {name} --for {until}`.",
            facts={"stage": version["stage"], "number": version["number"]},
        )

    async def wait_for_promotion(self, promotion_id: str, seconds: float = 60.0) -> PromotionAnswer:
        """Return the promotion once the registry carried its grant out.

        Raises RuleBroken with the reasons when it was refused, and TimedOut with what it waits for.
        """
        seen: Json = {"state": "open"}

        async def look() -> PromotionAnswer | None:
            try:
                found = await self.promotion(promotion_id)
            except NotFound:
                return None
            seen.update(found)
            if found["state"] == "refused":
                reasons = "; ".join(found.get("reasons", ()))
                raise RuleBroken("promotion_refused", reasons, facts=dict(found))
            return found if found["state"] in {"promoted", "spent"} else None

        if (carried_out := await _until(look, seconds)) is not None:
            return carried_out
        granted = seen["state"] == "granted"
        pending = "granted, and the registry has not carried it out yet" if granted else "not decided"
        raise TimedOut(
            "not_carried_out_yet" if granted else "not_decided_yet",
            f"promotion {promotion_id} is {pending} after {seconds:.0f} s",
            advice="Wait again." if granted else "`regista reviews` shows what it waits for.",
            facts=seen,
        )


async def _until(look: Callable[[], Awaitable[T | None]], seconds: float) -> T | None:
    """Return the first answer of `look`, None after `seconds`. It looks at least once."""
    deadline, pause = time.monotonic() + seconds, FIRST
    while True:
        if (found := await look()) is not None:
            return found
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        await asyncio.sleep(min(pause, left))
        pause = min(LONGEST, pause * 1.3)


def ended(version: Mapping[str, Any], until: str) -> RegistaError | None:
    """Return why the version does not get there without another command, if so."""
    name, stage = f"{version['model']}@{version['number']}", version["stage"]
    if version.get("withdrawn"):
        return RuleBroken("version_withdrawn", f"{name} was withdrawn: {version['withdrawn']}")
    if version.get("retired"):
        return RuleBroken("version_retired", f"{name} was retired")
    if stage == "Rejected":
        return RuleBroken(
            "version_rejected", f"{name} was rejected: {'; '.join(version.get('reasons') or ())}"
        )
    if stage == "Draft":
        missing = ", ".join(version.get("missing") or ())
        return RuleBroken("version_draft", f"{name} is a draft that lacks {missing}", advice="Complete it.")
    if stage == "Archived":
        advice = f"Roll back to it where it served, or reopen it (`regista reopen {name}`)."
        return RuleBroken("version_archived", f"{name} is Archived", advice=advice)
    promotion = _newest_promotion(version) if until == "production" else {}
    if promotion.get("state") == "refused":
        reasons = "; ".join(promotion.get("reasons") or ())
        return RuleBroken(
            "promotion_refused", f"the promotion of {name} was refused: {reasons}", facts=promotion
        )
    return None


def _failed_gates(version: Mapping[str, Any]) -> RuleBroken | None:
    gates = version.get("gates") or {}
    if version["stage"] != "Staging" or not gates or gates.get("passed"):
        return None
    failed = [r for r in gates.get("results") or () if not r.get("passed")]
    named = "; ".join(f"{r.get('gate')}: {r.get('detail')}" for r in failed)
    name = f"{version['model']}@{version['number']}"
    return RuleBroken(
        "gates_failed",
        f"{name} is blocked by its gates: {named}",
        advice=f"Add what they lack, or publish a better version. `regista versions gates {name}` shows all.",
        facts={"gates": failed},
    )


def _newest_promotion(version: Mapping[str, Any]) -> Json:
    """Return the newest promotion to a production environment, an empty one for none."""
    to_production = [p for p in version.get("promotions") or () if p.get("production", True)]
    return dict(to_production[-1]) if to_production else {}


def _waits_for(version: Mapping[str, Any], until: str) -> str:
    if version["stage"] == "Validated":
        promotion = _newest_promotion(version)
        if promotion.get("state") == "open":
            return f"its promotion {promotion['promotion_id']} is open (`regista reviews`)"
        name = f"{version['model']}@{version['number']}"
        wanted = f"no promotion to production is requested (`regista promote {name}`)"
        return wanted if until == "production" else ""
    if (state := version.get("artifact_state")) != "available":
        return f"its artifact is {state or 'not verified yet'}"
    return "its gates are not assessed yet"
