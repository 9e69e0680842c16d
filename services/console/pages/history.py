"""The log for an auditor: decisions of a period, one model, everything as it was at a moment, proofs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from regista.errors import Invalid, NotFound
from services.console.as_of import until
from services.console.calls import part, segment
from services.console.view import Page, Shown, View

Json = Mapping[str, Any]
WHAT: Mapping[str, str] = {
    "promotions": "promotions",
    "denials": "denials",
    "overrides": "overrides",
    "attempts": "denied attempts",
    "timeline": "everything about a model",
}
PAGE_SIZE = 50


def kind_of(view: View) -> str:
    """Return the kind of report that the address names: one of WHAT."""
    what = view.query("what", "promotions")
    return what if what in WHAT else "promotions"


async def read(view: View, what: str, page_size: int, token: str) -> Json:
    """Return a page of what the filters of the address select. Raises RegistaError."""
    model = view.query("model")
    period = {"since": view.query("since"), "until": until(view.query("until"), view.as_of)}
    path = f"/timeline/{segment(model)}" if what == "timeline" else f"/reports/{what}"
    more = {"newest": True, "notes": False} if what == "timeline" else {"model": model}
    found: Json = await view.calls.get("audit", path, **period, **more, page_size=page_size, page_token=token)
    return found


async def show_history(view: View) -> Shown:
    what, model = kind_of(view), view.query("model")
    since, end = view.query("since"), until(view.query("until"), view.as_of)
    content: dict[str, Any] = {"what": what, "kinds": WHAT, "items": None, "token": "", "problem": None}
    if what == "timeline" and not model:
        content["problem"] = Invalid(
            "no_model", "Name the model.", advice="The whole log has too many events."
        )
    else:
        found = await part(read(view, what, PAGE_SIZE, view.query("page")))
        content["problem"] = found.error
        if found.value:
            content |= {"items": found.value["items"], "token": found.value["next_page_token"]}
    people = people_of(content["items"] or [])
    options = "".join(f" --{k} {v}" for k, v in (("model", model), ("since", since), ("until", end)) if v)
    cli = f"regista timeline {model}" if what == "timeline" else f"regista audit {what}{options}"
    return Shown("history.html", "History", "History", content, cli, "", await view.names(people))


def people_of(items: list[Json]) -> list[str]:
    found: list[str] = []
    for item in items:
        found += [
            str((item.get(key) or {}).get("subject", ""))
            for key in ("by", "actor")
            if isinstance(item.get(key), dict)
        ]
        promotion = item.get("promotion") or {}
        found += [a["subject"] for a in promotion.get("approvers") or ()]
        found.append(((item.get("after_review") or {}).get("by") or {}).get("subject", ""))
        if promotion.get("requested"):
            found.append(promotion["requested"]["by"]["subject"])
        found.append(str((item.get("data") or {}).get("subject") or ""))
    return found


async def show_event(view: View) -> Shown:
    event_id, stream = view.param("event"), view.query("stream")
    if not stream:
        raise NotFound("unknown_event", "The address names no stream of the event.")
    found = await view.calls.get("audit", "/events", stream=stream, page_size=500)
    event = next((e for e in found["items"] if e["event_id"] == event_id), None)
    if event is None:
        missing = NotFound("unknown_event", "The stream has no such event among its first 500.")
        missing.status = 404
        raise missing
    _check_recorded(event, view.as_of)
    chain = await part(
        view.calls.get("audit", "/events", correlation_id=event["correlation_id"], page_size=100)
    )
    events = [e for e in (chain.value or {"items": []})["items"] if _recorded(e, view.as_of)]
    names = await view.names(e["actor"]["subject"] for e in (event, *events))
    content = {"event": event, "chain": events}
    return Shown(
        "event.html", event["type"], "History", content, f"regista audit events --stream {stream}", "", names
    )


def _recorded(event: Json, as_of: str) -> bool:
    return not as_of or datetime.fromisoformat(event["recorded_at"]) <= datetime.fromisoformat(as_of)


def _check_recorded(event: Json, as_of: str) -> None:
    if not _recorded(event, as_of):
        raise NotFound(
            "not_recorded_yet",
            "The event was not recorded yet.",
            advice="Name a later moment, or return to now.",
        )


PAGES = (
    Page("/history", show_history, show_history),
    Page("/history/events/{event}", show_event, show_event),
)
