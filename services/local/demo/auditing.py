"""Act 6: timeline, as-of, exported log, and the read models rebuilt while the services run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from regista.exported_history import verify
from services.local.demo.narration import DemoError, Timed, until
from services.local.demo.scene import Json, Scene
from services.local.lifecycle import rebuilt

SHOWN = 8  # of the timeline's events


async def timeline(scene: Scene) -> None:
    """Show the last events, each with who, when, why and its cause.

    Events contain subjects; the directory has the names.
    """
    timed = Timed()
    events = await scene.auditor.timeline(scene.model)
    names = await scene.auditor.names(scene.subjects.values())
    scene.narrator.line(f"timeline: {len(events)} events; those of the last switch:", timed.seconds)
    decisive = [
        event
        for event in events
        if event["type"]
        in {"PromotionRequested", "ReviewApproved", "VersionPromoted", "RolloutChanged", "RolledBack"}
    ]
    for event in decisive[-SHOWN:]:
        scene.narrator.line(
            f"  {event['recorded_at'][11:23]} {event['type']:<20} "
            f"by {_who(event, names):<18} {_why(event, names)}"
        )


def _who(event: Json, names: Mapping[str, str | None]) -> str:
    actor = event["actor"]
    subject = str(actor["subject"] if isinstance(actor, dict) else actor)
    return names.get(subject) or subject


def _why(event: Json, names: Mapping[str, str | None]) -> str:
    reason, cause = event.get("reason"), event.get("caused_by")
    return " ".join(
        part
        for part in (
            f"“{reason}”" if reason else "",
            f"← {cause['type']} by {_who(cause, names)}" if cause else "",
        )
        if part
    )


async def as_of(scene: Scene) -> None:
    """Show what served after the first promotion, after the switch and after the rollback."""
    for moment, words in (
        ("first", "after the first promotion"),
        ("switch to new code", "after the switch"),
        ("rollback", "after the rollback"),
    ):
        timed = Timed()
        found = await scene.auditor.as_of(scene.model, scene.moments[moment])
        served = (
            ", ".join(f"{one.get('semver')} at {one.get('percent')} %" for one in found.get("entries", ()))
            or "nothing"
        )
        scene.narrator.line(
            f"in Production {words} ({scene.moments[moment][11:19]}): {served}", timed.seconds
        )


async def history(scene: Scene) -> None:
    """Export everything sealed so far as Parquet files, download them, and verify them offline."""
    timed, folder = Timed(), scene.instance.folder.directory / "history"
    planned = (await scene.auditor.export_history(everything=True))["planned"]

    async def look() -> bool | None:
        return (await scene.auditor.history_state())["exported"] >= planned or None

    await until(look, "the export of history")
    await scene.auditor.download_history(folder)
    key = (await scene.auditor.log_checkpoints(1))["verifier_key"]
    found = await asyncio.to_thread(verify, folder, [key])
    if not found.holds:
        raise DemoError(f"the files in {folder} are not what was signed: {found}")
    size = found.log_checkpoint["size"]
    scene.narrator.line(
        f"exported log: {found.events} events as Parquet files, verified offline with a signed "
        f"log checkpoint of size {size}",
        timed.seconds,
    )
    scene.narrator.line(f"  {folder}")


async def read_models_rebuilt(scene: Scene) -> None:
    """Rebuild the read models beside the running services and check that every row is equal."""
    for one in await asyncio.to_thread(rebuilt, scene.instance.folder):
        if not one["equal"]:
            raise DemoError(f"the read models of {one['service']} differ from the log")
        scene.narrator.line(
            f"{one['service']}: {one['events']} events → {one['rows']} rows, equal to before", one["seconds"]
        )
