"""What was decided up to a moment, and what had happened in one review."""

from __future__ import annotations

import asyncio
from typing import Any

from regista.errors import NotFound
from services.console.calls import Part, part, segment
from services.console.pages.history import people_of
from services.console.view import Shown, View

PAGE_SIZE = 50
KINDS = (("promotions", "Approved"), ("denials", "Denied"), ("overrides", "Overridden"))


async def show_reviews(view: View) -> Shown:
    model = view.query("model")
    period = {"until": view.as_of, "model": model, "page_size": PAGE_SIZE}
    found: list[Part[Any]] = await asyncio.gather(
        *(part(view.calls.get("audit", f"/reports/{kind}", **period)) for kind, _ in KINDS)
    )
    people = [subject for one in found if one.value for subject in people_of(one.value["items"])]
    content = {"decided": [(title, one) for (_, title), one in zip(KINDS, found, strict=True)]}
    cli = f"regista audit promotions --until {view.as_of}"
    return Shown("then_reviews.html", "Decisions", "Reviews", content, cli, "", await view.names(people))


async def show_review(view: View) -> Shown:
    review = view.param("review")
    present = await view.calls.get("approval", f"/reviews/{segment(review)}")
    until = {"number": present["number"], "until": view.as_of, "notes": False, "page_size": 500}
    timeline = await view.calls.get("audit", f"/timeline/{segment(present['model'])}", **until)
    events = [e for e in timeline["items"] if e["stream"] == f"review-{review}"]
    if not events:
        raise NotFound(
            "review_not_opened_yet",
            f"The review of {present['model']} #{present['number']} was not open yet.",
            advice="Name a later moment, or return to now.",
        )
    content = {"review": present, "events": events}
    names = await view.names([present["requester"], *(e["actor"]["subject"] for e in events)])
    title = f"Review of {present['model']} #{present['number']}"
    cli = f"regista timeline {present['model']} --number {present['number']} --until {view.as_of}"
    return Shown("then_review.html", title, "Reviews", content, cli, "", names)
