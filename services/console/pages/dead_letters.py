"""Dead letters: messages that a service refused, each with its reason; replay and dismiss."""

from __future__ import annotations

from regista.errors import NotFound
from services.console.calls import segment
from services.console.rendering import url
from services.console.view import Act, Done, Page, Shown, View

WITH_DEAD_LETTERS = ("registry", "approval", "artifact", "cleanup")
STATES = ("open", "replayed", "dismissed")
SHOWN = 200
ROLE, EVERYWHERE = "engineer", "*"
"""Who may replay and dismiss: dead letters belong to no namespace."""


def _service(view: View) -> str:
    """Return the service of the path. Raises NotFound for one that refuses no messages."""
    service = view.param("service")
    if service not in WITH_DEAD_LETTERS:
        raise NotFound("unknown_service", f"Services with dead letters: {', '.join(WITH_DEAD_LETTERS)}.")
    return service


async def show_dead_letters(view: View) -> Shown:
    service, state = _service(view), view.query("state", "open")
    state = state if state in STATES else "open"
    closed = {name: True for name in ("replayed", "dismissed") if name == state}
    found = await view.calls.get(service, "/dlq", topic=view.query("topic"), limit=SHOWN, **closed)
    items = [one for one in found["items"] if _state(one) == state]
    content = {"service": service, "state": state, "states": STATES, "items": items}
    cli = f"regista dlq list {service}" + (f" --{state}" if state != "open" else "")
    names = await view.names(one["closed_by"] for one in items)
    return Shown("dead_letters.html", f"Dead letters of {service}", "Operations", content, cli, "", names)


def _state(dead: dict[str, object]) -> str:
    return next((name for name in ("dismissed", "replayed") if dead[name]), "open")


async def show_dead_letter(view: View) -> Shown:
    service, id_ = _service(view), view.param("id")
    found = await view.calls.get(service, f"/dlq/{segment(id_)}")
    letter = found["letter"]
    content = {
        "service": service,
        "found": found,
        "letter": letter,
        "state": _state(letter),
        "operator": view.may(ROLE, EVERYWHERE),
    }
    names = await view.names([letter["closed_by"]])
    return Shown(
        "dead_letter.html", "Dead letter", "Operations", content, f"regista dlq show {id_}", "", names
    )


async def replay(view: View) -> Done:
    service, id_ = _service(view), view.param("id")
    path, reason = f"/dlq/{segment(id_)}:replay", view.text("reason")
    done = await view.calls.send("POST", service, path, key=view.text("key"), query={"reason": reason})
    return Done(
        url("operations", "dead-letters", service, id_),
        f"The message was sent to {done['topic']} again. If it is refused again, it is listed as open.",
    )


async def dismiss(view: View) -> Done:
    service, id_ = _service(view), view.param("id")
    body = {"reason": view.text("reason")}
    await view.calls.send("POST", service, f"/dlq/{segment(id_)}:dismiss", body, key=view.text("key"))
    return Done(url("operations", "dead-letters", service), "You dismissed the dead letter.")


ONE = Page("/operations/dead-letters/{service}/{id}", show_dead_letter)
PAGES = (Page("/operations/dead-letters/{service}", show_dead_letters), ONE)
ACTS = (Act(f"{ONE.path}/replay", replay, ONE), Act(f"{ONE.path}/dismiss", dismiss, ONE))
