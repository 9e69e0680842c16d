"""Answer `as_of`: a model, its versions and its rollouts as they were at a moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.registry import queries
from services.registry.api.calls import model_of, small_number
from services.registry.as_of import answers
from services.registry.as_of.replay import MOST_EVENTS, Row, Then, TooLong, document_of, then
from services.registry.domain.model.state import LATEST
from services.registry.queries import DocumentEvent
from services.registry.shapes.search import ModelQuery, VersionsOfModelQuery
from services.registry.tables import ALIASES, ROLLOUTS
from shared.deciding.decider import NotFound, Unprocessable
from shared.http.moments import end
from shared.http.routes import Call, page_token

CLOCKS_DIFFER = timedelta(minutes=1)


async def model_then(call: Call[Any, Any], as_of: datetime | date) -> Then:
    """Return the model in the path as it was. Raise NotFound for one that the caller may not read now."""
    model = await model_of(call)
    return await then(call.app, model.model_id, moment_of(as_of))


def moment_of(as_of: datetime | date) -> datetime:
    """Return the moment that is asked about. Raise Unprocessable for the future."""
    now = datetime.now(UTC)
    at = end(as_of, now)
    if at > now + CLOCKS_DIFFER:
        raise Unprocessable(
            "moment_in_the_future",
            "This moment is in the future: name an earlier one, or leave `as_of` out to ask about now.",
        )
    return at


async def models_then(call: Call[None, ModelQuery], as_of: datetime | date, after: str) -> dict[str, Any]:
    """Return the models that were registered then, as they were, behind a name of now.

    One answer reads MOST_EVENTS at most, so a page may have fewer models than asked for. Those with more are
    named, and not shown.
    """
    q, at = call.query, moment_of(as_of)
    if q.filters:
        raise Unprocessable(
            "as_of_with_conditions", "A list of a moment is not filtered: leave the other conditions out."
        )
    readable = call.readable()
    statement, _ = queries.list_models_sql(readable, None, {})
    rows = await call.app.list_rows(statement, after, readable, q.page_size)
    items, too_long, left, looked_at = [], [], MOST_EVENTS, 0
    for row in rows:
        if datetime.fromisoformat(str(row["registered_at"])) <= at:
            try:
                found = await then(call.app, row["model_id"], at, left)
            except TooLong:
                if left < MOST_EVENTS:
                    break
                too_long.append(row["name"])
            else:
                items.append(answers.model_row(found))
                left -= found.revision
        looked_at += 1
    more = looked_at < len(rows) or len(rows) == q.page_size
    token = page_token(rows[looked_at - 1]["name"]) if more and rows else ""
    return {"items": items, "too_long": too_long, "next_page_token": token}


async def versions_then(
    call: Call[None, VersionsOfModelQuery], as_of: datetime | date, before: int
) -> dict[str, Any]:
    """Return a page of the versions of the model in the path as they were, with numbers below `before`."""
    q = call.query
    if q.wanted().filters:
        raise Unprocessable(
            "as_of_with_conditions", "A list of a moment is not filtered: leave the other conditions out."
        )
    lines = [v for v in answers.version_lines(await model_then(call, as_of)) if v["number"] < before]
    page = lines[: q.page_size]
    return {"items": page, "next_page_token": q.next_token(page, "number")}


async def version_then(call: Call[Any, Any], as_of: datetime | date) -> tuple[dict[str, Any], DocumentEvent]:
    """Return the version in the path as it was, and the event that held its metadata."""
    found = await model_then(call, as_of)
    row = answers.version_row(found, named_then(found, call.path["version"]))
    return row, await document_of(call.app, row)


def named_then(found: Then, reference: str) -> Row:
    """Return the row of the version that a reference named then. Raise NotFound where it named none."""
    number = _number(found, reference)
    if number is not None and (row := found.version(number)):
        return row
    newest = next(iter(found.versions()), {"number": 0})["number"]
    had = f"The newest version then was {newest}." if newest else "The model had no version then."
    raise NotFound("unknown_version", f"{reference!r:.80} named no version then. {had}")


def _number(found: Then, reference: str) -> int | None:
    """Return the number that a reference named then: a number, a semantic version, or @ with a name."""
    number = small_number(reference)
    if number is not None:
        return number
    name = reference.removeprefix("@")
    if name == reference:
        return next((v["number"] for v in found.versions() if v["semver"] == name), None)
    champions = [r["champion"] for r in found.rows(ROLLOUTS) if r["environment"] == name]
    aliased = [r["number"] for r in found.rows(ALIASES) if r["alias"] == name]
    usable = [v["number"] for v in found.versions() if answers.usable(v)] if name == LATEST else []
    return next(iter([*filter(None, champions), *aliased, *usable]), None)
