"""Act 6: who did what and why, what was in Production at a moment, the log as files, and all read models rebuilt from it while the services run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from regista.exported_history import verify
from services.local.demo.scene import Json, Scene
from services.local.demo.telling import StoryFailed, Timed, until
from services.local.running import rebuilt

SHOWN = 8  # of the timeline's events


async def timeline(scene: Scene) -> None:
    """The last events, each with who, when, why and what caused it.

    Events hold subjects; who that is, the directory says.
    """
    timed = Timed()
    events = await scene.auditor.timeline(scene.model)
    names = await scene.auditor.names(scene.subjects.values())
    scene.tell.line(f"timeline: {len(events)} events; those of the last switch:", timed.seconds)
    decisive = [
        event
        for event in events
        if event["type"]
        in {"PromotionRequested", "ReviewApproved", "VersionPromoted", "RolloutChanged", "RolledBack"}
    ]
    for event in decisive[-SHOWN:]:
        scene.tell.line(
            f"  {event['recorded_at'][11:23]} {event['type']:<20} by {_who(event, names):<18} {_why(event, names)}"
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
    """Before the switch, after it, and after the way back."""
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
        scene.tell.line(f"in Production {words} ({scene.moments[moment][11:19]}): {served}", timed.seconds)


async def history(scene: Scene) -> None:
    """All that is sealed by now as Parquet files, copied here and proven from the files alone."""
    timed, folder = Timed(), scene.instance.place.directory / "history"
    planned = (await scene.auditor.export_history(everything=True))["planned"]

    async def look() -> bool | None:
        return (await scene.auditor.history_state())["exported"] >= planned or None

    await until(look, "the export of history")
    await scene.auditor.download_history(folder)
    key = (await scene.auditor.checkpoints(1))["verifier_key"]
    found = await asyncio.to_thread(verify, folder, [key])
    if not found.holds:
        raise StoryFailed(f"the history in {folder} is not what was signed: {found}")
    size = found.checkpoint["size"]
    scene.tell.line(
        f"history: {found.events} events as Parquet, proven from the files alone under a signed checkpoint of {size}",
        timed.seconds,
    )
    scene.tell.line(f"  {folder}")


async def read_models_rebuilt(scene: Scene) -> None:
    """Dropped and folded again from the log, beside the running services; every row equal."""
    for one in await asyncio.to_thread(rebuilt, scene.instance.place):
        if not one["equal"]:
            raise StoryFailed(f"the read models of {one['service']} differ from the log")
        scene.tell.line(
            f"{one['service']}: {one['events']} events → {one['rows']} rows, equal to before", one["seconds"]
        )
