"""Act 4: promotion with reviews, a 90/10 split, a switch, and a rollback.

A scoring service uses the models meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from regista.errors import Forbidden as NotAllowed
from regista.errors import RegistaError, RuleBroken
from services.local.demo.narration import DemoError, Timed, until
from services.local.demo.publishing import publish_good
from services.local.demo.scene import Json, Scene, or_none
from services.local.demo.training import TEN, sample
from services.local.demo.verdicts import blocked

REQUESTS = 100  # route calls that count a split


async def promoted(scene: Scene, generation: str) -> None:
    """Request a promotion, and approve it by two people who neither made the version nor requested it."""
    timed = Timed()
    promotion = await scene.ada.promote(
        scene.reference(generation), reason="the demo", serve=generation == "first"
    )
    review = await _review(scene, promotion["promotion_id"])
    scene.narrator.line(
        f"Ada requests {scene.name(generation)} for Production; a review opens: "
        f"{review['needs']} approvals needed",
        timed.seconds,
    )
    await _own_approval_refused(scene, review)
    for who in ("grace", "edsger"):
        timed = Timed()
        seen = await scene.people[who].review(review["review_id"])
        await scene.people[who].approve(
            review["review_id"],
            comment="checked the held-out accuracy",
            revision=seen["revision"],
            accepts=seen["summary"]["accept"],
        )
        scene.narrator.line(f"{who.capitalize()} approves", timed.seconds)
    timed = Timed()
    await scene.until_version(generation, lambda v: v["stage"] == "Production", "goes to Production")
    scene.moments[generation] = datetime.now(UTC).isoformat()
    scene.narrator.line(f"{scene.name(generation)} is in Production", timed.seconds)


async def _review(scene: Scene, promotion_id: str) -> Json:
    async def look() -> Json | None:
        found = await or_none(scene.ada.promotion(promotion_id))
        if found and found["state"] == "refused":
            raise DemoError(f"the promotion was refused: {'; '.join(map(str, found['reasons']))}")
        return next((one for one in await scene.ada.reviews() if one["review_id"] == promotion_id), None)

    return await until(look, "a review")


async def _own_approval_refused(scene: Scene, review: Json) -> None:
    timed = Timed()
    try:
        await scene.ada.approve(review["review_id"], comment="mine is good", revision=review["revision"])
    except (RuleBroken, NotAllowed) as refusal:
        scene.narrator.line(f"Ada approves her own version: refused ({refusal.detail})", timed.seconds)
    else:
        raise DemoError("the creator approved her own version")


async def worse_one(scene: Scene) -> None:
    """Publish a worse version: the gates compare it with the champion and block it."""
    await publish_good(scene, "worse")
    await blocked(scene, "worse")


async def split(scene: Scene, champion: str, challenger: str) -> None:
    """Split the traffic 90/10 and count the routes that callers get."""
    timed = Timed()
    entries = [_entry(scene, champion, 90, "champion"), _entry(scene, challenger, 10, "challenger")]
    await scene.ada.change_rollout(scene.model, entries, reason="try the new code on a tenth")
    scene.narrator.line(f"traffic 90/10: {scene.name(champion)} and {scene.name(challenger)}", timed.seconds)
    timed = Timed()
    routes = [await scene.ada.route(scene.model, key=f"patient-{n}") for n in range(REQUESTS)]
    counted = Counter(route["number"] for route in routes)
    shares = ", ".join(f"#{number}: {count}" for number, count in sorted(counted.items()))
    scene.narrator.line(f"{REQUESTS} requests routed by key: {shares}", timed.seconds)


def _entry(scene: Scene, generation: str, percent: int, role: str) -> Json:
    return {"number": scene.versions[generation].number, "percent": percent, "role": role}


async def switched(scene: Scene, champion: str) -> None:
    """Switch all traffic in one event."""
    timed = Timed()
    await scene.ada.change_rollout(
        scene.model, [_entry(scene, champion, 100, "champion")], reason="better on the tenth"
    )
    await _serves(scene, champion)
    scene.moments[f"switch to {champion}"] = datetime.now(UTC).isoformat()
    scene.narrator.line(f"switched: {scene.name(champion)} serves everything", timed.seconds)


async def rolled_back(scene: Scene, target: str) -> None:
    """Roll back. Registry decides immediately, without waiting for another service."""
    timed = Timed()
    await scene.ada.rollback(scene.model, reason="a clinic complains")
    await _serves(scene, target)
    scene.moments["rollback"] = datetime.now(UTC).isoformat()
    scene.narrator.line(f"rolled back: {scene.name(target)} serves again, as before", timed.seconds)


async def used(scene: Scene, uses: Counter[int], generation: str) -> None:
    """Wait until the scoring service has used the version."""

    async def look() -> bool | None:
        return True if uses[scene.versions[generation].number] else None

    await until(look, f"{scene.name(generation)} is used")


async def _serves(scene: Scene, generation: str) -> None:
    async def look() -> bool | None:
        found = await scene.ada.resolve(scene.model)
        return True if found["number"] == scene.versions[generation].number else None

    await until(look, f"{scene.name(generation)} serves")


@asynccontextmanager
async def in_use(scene: Scene) -> AsyncIterator[Counter[int]]:
    """Run a scoring service.

    It gets a route, loads that version (verified bytes, ONNX) and reports `ModelUsed` every second.
    """
    counted: Counter[int] = Counter()
    task = asyncio.create_task(_use(scene, counted))
    try:
        yield counted
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await scene.people["scoring-api"].report_usage()


async def _use(scene: Scene, counted: Counter[int]) -> None:
    api, rows, loaded, sessions = scene.people["scoring-api"], sample(TEN), {}, {}
    while True:
        with contextlib.suppress(RegistaError):
            number = (await api.route(scene.model, key=f"request-{counted.total()}"))["number"]
            if number not in loaded:
                loaded[number] = await api.load(f"{scene.model}@{number}")
                sessions[number] = loaded[number].session()
            sessions[number].run(None, {"X": rows})
            loaded[number].used(len(rows))
            counted[number] += len(rows)
        await asyncio.sleep(0.05)
