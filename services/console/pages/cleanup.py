"""Cleanup: the runs, each with a reason for every version that it kept or removed."""

from __future__ import annotations

import asyncio

from services.console.calls import part, segment
from services.console.view import Page, Shown, View

VERDICTS = ("marked", "proposed", "retired", "refused", "spared")


async def show_runs(view: View) -> Shown:
    runs, defaults = await asyncio.gather(
        view.calls.get("cleanup", "/cleanup-runs", page_size=30, page_token=view.query("page")),
        part(view.calls.get("cleanup", "/retention-defaults")),
    )
    content = {"runs": runs["items"], "token": runs["next_page_token"], "defaults": defaults}
    names = await view.names(r["actor"] for r in runs["items"])
    return Shown("cleanup.html", "Cleanup", "Cleanup", content, "regista cleanup list", "any", names)


async def show_run(view: View) -> Shown:
    run_id, verdict = view.param("run"), view.query("verdict")
    run = await view.calls.get(
        "cleanup",
        f"/cleanup-runs/{segment(run_id)}",
        verdict=verdict if verdict in VERDICTS else None,
        page_size=100,
        page_token=view.query("page"),
    )
    content = {"run": run, "token": run["next_page_token"], "verdicts": VERDICTS, "verdict": verdict}
    names = await view.names([run["actor"]])
    cli = f"regista cleanup show {run_id}"
    return Shown("cleanup_run.html", "Cleanup run", "Cleanup", content, cli, "any", names)


PAGES = (Page("/cleanup", show_runs), Page("/cleanup/{run}", show_run))
