"""Answer `as_of`: a model, its versions and its rollouts as they were at a moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.registry.api.calls import model_of, small_number
from services.registry.as_of import answers
from services.registry.as_of.replay import Then, document_of, then
from services.registry.domain.model.state import LATEST
from services.registry.queries import DocumentEvent
from services.registry.shapes.search import VersionsOfModelQuery
from services.registry.tables import ALIASES, ROLLOUTS
from shared.deciding.decider import NotFound, Unprocessable
from shared.http.moments import end
from shared.http.routes import Call

CLOCKS_DIFFER = timedelta(minutes=1)


async def model_then(call: Call[Any, Any], as_of: datetime | date) -> Then:
    """Return the model in the path as it was. Raise NotFound for one that the caller may not read now."""
    model = await model_of(call)
    now = datetime.now(UTC)
    at = end(as_of, now)
    if at > now + CLOCKS_DIFFER:
        raise Unprocessable(
            "moment_in_the_future",
            "This moment is in the future: name an earlier one, or leave `as_of` out to ask about now.",
        )
    return await then(call.app, model.model_id, at)


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
    number = _number(found, call.path["version"])
    row = answers.version_row(found, number) if number else None
    if row is None:
        newest = next(iter(found.versions()), {"number": 0})["number"]
        had = f"The newest version then was {newest}." if newest else "The model had no version then."
        raise NotFound("unknown_version", f"{call.path['version']!r:.80} named no version then. {had}")
    return row, await document_of(call.app, row)


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
