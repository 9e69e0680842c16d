"""Replay the events of a model up to a moment into rows of the read models, in memory.

The projections are those that write the tables, so the rows then and now follow from the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table

from services.registry import queries as documents
from services.registry.as_of.queries import STREAM
from services.registry.domain.model.state import stream_of
from services.registry.projections import project
from services.registry.stored_events import EVENTS
from services.registry.tables import MODELS, VERSIONS
from shared.deciding.decider import NotFound, Unprocessable
from shared.deciding.events import Recorded
from shared.http.app import App
from shared.log import eventlog
from shared.log.read_models import Merged

MOST_EVENTS = 20_000
"""Events that one answer reads: about half a second."""
PAGE = 500
Row = Mapping[str, Any]


class TooLong(Unprocessable):
    """A model had more events than one answer reads."""

    def __init__(self, most: int) -> None:
        super().__init__(
            "too_many_events",
            f"The model had more than {most} events then: read the timeline up to the moment"
            " (`regista timeline --until`), or what served then (`regista as-of`).",
        )


@dataclass(slots=True)
class Then:
    """The rows of one model after some of its events, of which `revision` is the last."""

    model_id: str
    merged: Merged
    revision: int = 0

    def add(self, recorded: Recorded) -> None:
        """Add the rows of the next event."""
        self.merged.add(project(recorded))
        self.revision = recorded.revision

    def rows(self, table: Table) -> list[Row]:
        """Return the rows of a table, each with all its columns."""
        nothing = dict.fromkeys(table.columns.keys())
        return [nothing | row for row in self.merged.puts[table].values()]

    @property
    def model(self) -> Row:
        """The row of the model itself."""
        return self.rows(MODELS)[0]

    def version(self, number: int) -> Row | None:
        """Return the row of a version, None where there was none."""
        row = self.merged.puts[VERSIONS].get((self.model_id, number))
        return row and dict.fromkeys(VERSIONS.columns.keys()) | row

    def versions(self) -> list[Row]:
        """Return the rows of its versions, the newest first."""
        return sorted(self.rows(VERSIONS), key=lambda row: int(row["number"]), reverse=True)


async def then(app: App, model_id: str, at: datetime, most: int = MOST_EVENTS) -> Then:
    """Return the rows of a model as they were at a moment.

    Raises NotFound for a moment before its registration, and TooLong, before it reads them, when it had more
    than `most` events. Their times ascend.
    """
    found, stream = Then(model_id, Merged()), stream_of(model_id)
    for row in await app.list_rows(STREAM, stream, most, 1):
        if EVENTS.recorded("registry", row["bytes"]).recorded_at <= at:
            raise TooLong(most)
    revision = 0
    while page := await app.list_rows(STREAM, stream, revision, PAGE):
        for row in page:
            recorded = EVENTS.recorded("registry", row["bytes"])
            if recorded.recorded_at > at:
                return _registered(found, at, recorded)
            found.add(recorded)
        revision = page[-1]["revision"]
    return _registered(found, at)


def _registered(found: Then, at: datetime, later: Recorded | None = None) -> Then:
    if found.merged.puts[MODELS]:
        return found
    since = f" Name one from {later.recorded_at.isoformat()} on." if later else ""
    raise NotFound("not_registered_yet", f"The model was not registered at {at.isoformat()}.{since}")


async def document_of(app: App, version: Row) -> documents.DocumentEvent:
    """Return the event that held a version's metadata then."""
    key = (stream_of(version["model_id"]), version["document"])
    async with app.pool.acquire() as connection:
        stored = await eventlog.load_past(connection, "registry", [key])
    return documents.document_event(stored[key])
