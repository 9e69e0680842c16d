"""Act 3: artifact verifies the bytes, approval assesses the gates, registry decides the stage."""

from __future__ import annotations

import re
from typing import Any

from services.local.demo.narration import Timed, until
from services.local.demo.scene import Json, Scene, or_none


async def validated(scene: Scene, generation: str) -> None:
    """Wait until the bytes are verified and every automated gate has passed."""
    timed = Timed()
    version = await scene.until_version(generation, lambda v: v["stage"] == "Validated", "becomes Validated")
    gates = await _gates(scene, version, "Validated")
    passed = ", ".join(result["gate"] for result in gates["results"])
    scene.narrator.line(f"{scene.name(generation)} is Validated: bytes verified; {passed}", timed.seconds)


async def rejected(scene: Scene, generation: str) -> None:
    """Wait until the version is rejected because the stored bytes differ from the registered ones."""
    timed = Timed()
    version = await scene.until_version(generation, lambda v: v["stage"] == "Rejected", "is Rejected")
    scene.narrator.line(f"{scene.name(generation)} is Rejected: {reasons_of(version)}", timed.seconds)


async def blocked(scene: Scene, generation: str) -> None:
    """Wait until a gate has failed: the version keeps its stage, and the reasons are recorded."""
    timed = Timed()
    version = await scene.ada.version(scene.reference(generation))
    gates = await _gates(scene, version, "Validated", passed=False)
    why = "; ".join(result["detail"] for result in gates["results"] if not result["passed"])
    version = await scene.ada.version(scene.reference(generation))
    scene.narrator.line(
        f"{scene.name(generation)} stays in {version['stage']}, blocked: {why}", timed.seconds
    )


async def _gates(scene: Scene, version: Json, stage: str, *, passed: bool = True) -> Json:
    async def look() -> Json | None:
        found = await or_none(scene.ada.gates(version["model_id"], version["number"])) or {}
        return next(
            (one for one in found.get("gates", ()) if one["stage"] == stage and one["passed"] is passed), None
        )

    return await until(look, f"a gate verdict on {version['number']}")


def reasons_of(version: Json) -> str:
    """Return the reasons of a version in one line."""
    reasons: list[Any] = version["reasons"] or []
    text = (
        "; ".join(str(one.get("detail", one)) if isinstance(one, dict) else str(one) for one in reasons)
        or "no reason given"
    )
    return re.sub(r"([0-9a-f]{8})[0-9a-f]{56}", r"\1…", text)
