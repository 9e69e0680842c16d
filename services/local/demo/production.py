"""Act 4: promotion with reviews, traffic 90/10, a switch, and the way back.

Meanwhile somebody uses the models.
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
from services.local.demo.publishing import publish_good
from services.local.demo.scene import Json, Scene, or_none
from services.local.demo.telling import StoryFailed, Timed, until
from services.local.demo.training import TEN, sample
from services.local.demo.verdicts import blocked

REQUESTS = 100  # route calls that count a split


async def promoted(scene: Scene, generation: str) -> None:
    """Asked for, reviewed by two who neither made nor asked for it, granted."""
    timed = Timed()
    promotion = await scene.ada.promote(scene.reference(generation), reason="the demo's story")
    review = await _review(scene, promotion["promotion_id"])
    scene.tell.line(
        f"Ada asks for {scene.name(generation)} in Production; a review opens: {review['needs']} approvals needed",
        timed.seconds,
    )
    await _own_approval_refused(scene, review)
    for who in ("grace", "edsger"):
        timed = Timed()
        seen = await scene.people[who].review(review["review_id"])
        await scene.people[who].approve(
            review["review_id"], comment="looked at the held-out accuracy", revision=seen["revision"]
        )
        scene.tell.line(f"{who.capitalize()} approves", timed.seconds)
    timed = Timed()
    await scene.until_version(generation, lambda v: v["stage"] == "Production", "goes to Production")
    scene.moments[generation] = datetime.now(UTC).isoformat()
    scene.tell.line(f"{scene.name(generation)} is in Production", timed.seconds)


async def _review(scene: Scene, promotion_id: str) -> Json:
    async def look() -> Json | None:
        found = await or_none(scene.ada.promotion(promotion_id))
        if found and found["state"] == "denied":
            raise StoryFailed(f"the promotion was denied: {'; '.join(map(str, found['reasons']))}")
        return next((one for one in await scene.ada.reviews() if one["review_id"] == promotion_id), None)

    return await until(look, "a review")


async def _own_approval_refused(scene: Scene, review: Json) -> None:
    timed = Timed()
    try:
        await scene.ada.approve(review["review_id"], comment="mine is good", revision=review["revision"])
    except (RuleBroken, NotAllowed) as refusal:
        scene.tell.line(f"Ada approves her own: refused ({refusal.detail})", timed.seconds)
    else:
        raise StoryFailed("the creator approved her own version")


async def worse_one(scene: Scene) -> None:
    """With a champion to compare to, a worse version does not pass."""
    await publish_good(scene, "worse")
    await blocked(scene, "worse")


async def split(scene: Scene, champion: str, challenger: str) -> None:
    """90/10, counted by asking for a route as callers would."""
    timed = Timed()
    entries = [_entry(scene, champion, 90, "champion"), _entry(scene, challenger, 10, "challenger")]
    await scene.ada.change_rollout(scene.model, entries, reason="try the new code on a tenth")
    scene.tell.line(f"traffic 90/10: {scene.name(champion)} and {scene.name(challenger)}", timed.seconds)
    timed = Timed()
    routes = [await scene.ada.route(scene.model, key=f"patient-{n}") for n in range(REQUESTS)]
    counted = Counter(route["number"] for route in routes)
    shares = ", ".join(f"#{number}: {count}" for number, count in sorted(counted.items()))
    scene.tell.line(f"{REQUESTS} requests routed by key: {shares}", timed.seconds)


def _entry(scene: Scene, generation: str, percent: int, role: str) -> Json:
    return {"number": scene.versions[generation].number, "percent": percent, "role": role}


async def switched(scene: Scene, champion: str) -> None:
    """All traffic at once: one event."""
    timed = Timed()
    await scene.ada.change_rollout(
        scene.model, [_entry(scene, champion, 100, "champion")], reason="better on the tenth"
    )
    await _serves(scene, champion)
    scene.moments[f"switch to {champion}"] = datetime.now(UTC).isoformat()
    scene.tell.line(f"switched: {scene.name(champion)} serves everything", timed.seconds)


async def rolled_back(scene: Scene, target: str) -> None:
    """Decided at once, without waiting for another service."""
    timed = Timed()
    await scene.ada.rollback(scene.model, reason="a clinic complains")
    await _serves(scene, target)
    scene.moments["rollback"] = datetime.now(UTC).isoformat()
    scene.tell.line(f"rolled back: {scene.name(target)} serves again, as before", timed.seconds)


async def used(scene: Scene, uses: Counter[int], generation: str) -> None:
    """Waits until the scoring service has asked it."""

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
    """A scoring service that asks for a route, loads what it is told (verified bytes, ONNX) and reports `ModelUsed` each second."""
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
