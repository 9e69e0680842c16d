"""Act 5: cleanup with a policy of seconds instead of months: which versions go, which stay, and why."""

from __future__ import annotations

import asyncio

from services.local.demo.narration import Timed, until
from services.local.demo.scene import Json, Scene

POLICY = {
    "unused": "1.5s",
    "left_production": "1.5s",
    "unknown": None,
    "draft": "60s",
    "rejected": None,
    "keep_newest": 0,
    "grace": "1s",
}


async def held(scene: Scene, generation: str) -> None:
    """Protect a version from cleanup by a legal hold."""
    timed = Timed()
    await scene.ada.place_legal_hold(scene.reference(generation), reason="a clinic's lawyers need it")
    scene.narrator.line(f"legal hold on {scene.name(generation)}", timed.seconds)


async def cleaned(scene: Scene, goes: str) -> None:
    """Plan a cleanup, wait for the grace period, and check that one artifact is deleted."""
    timed = Timed()
    await scene.ada.set_retention(scene.model, POLICY)
    scene.narrator.line(
        "policy: a version unused for 1.5 s is retired after 1 s of grace; unknown use is not unused",
        timed.seconds,
    )
    timed = Timed()
    plan = await _plan(scene, goes)
    scene.narrator.line(
        f"planned: {plan['verdicts'].get('marked', 0)} marked, {plan['verdicts'].get('spared', 0)} spared",
        timed.seconds,
    )
    for item in plan["items"]:
        why = "; ".join(reason["detail"] for reason in item["reasons"])
        scene.narrator.line(
            f"  {'goes ' if item['verdict'] == 'marked' else 'stays'} {scene.name_of(item['number'])}: {why}"
        )
    timed = Timed()
    await scene.ada.clean_up(scene.model, dry_run=False)
    await _gone(scene, goes, timed)


async def _plan(scene: Scene, goes: str) -> Json:
    """Return the first plan that marks the version: its last use must be long enough ago."""

    async def look() -> Json | None:
        plan = await scene.ada.clean_up(scene.model, dry_run=True)
        marked = {item["number"] for item in plan["items"] if item["verdict"] == "marked"}
        if scene.versions[goes].number in marked:
            return plan
        await asyncio.sleep(0.2)
        return None

    return await until(look, f"{scene.name(goes)} is old enough to go")


async def _gone(scene: Scene, goes: str, timed: Timed) -> None:
    retired = await scene.until_version(goes, lambda v: bool(v["retired"]), "is retired")
    digest = retired["artifact"]["digest"]
    scene.narrator.line(f"after the grace period registry retires {scene.name(goes)}", timed.seconds)

    async def look() -> Json | None:
        found = await scene.artifact(digest)
        return found if found["state"] == "Deleted" else None

    await until(look, f"the artifact of {scene.name(goes)} is deleted")
    scene.narrator.line(f"its artifact is deleted; the tombstone keeps {digest[:23]}…", timed.seconds)
