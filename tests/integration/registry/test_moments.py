"""Moments of a model: what happened when, for its readers, at a cost that its life does not decide."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from services.registry.as_of.moments import AROUND, EVERY, MOST_SHOWN, life, spread
from shared.deciding.events import Actor, Envelope, encode
from shared.foundation.postgres import connect_pool
from shared.log import eventlog
from tests.integration.registry.test_serving import promoted

pytestmark = pytest.mark.servers
LONG = 5_001
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def row(model_id: str, revision: int, *, note: bool) -> eventlog.Row:
    """One event a minute; a note is a copy of another service's event."""
    id_, type_ = uuid.uuid4(), "Noted" if note else "VersionRegistered"
    at, stream = BEGIN + timedelta(minutes=revision), f"model-{model_id}"
    data = msgspec.Raw(encode({"number": revision}))
    envelope = Envelope(id_, type_, 1, stream, revision, at, Actor("ann"), data)
    return eventlog.Row(stream, revision, id_, type_, 1, encode(envelope))


async def written(database: Any, model_id: str, count: int, is_note: Callable[[int], bool]) -> None:
    connection = await asyncpg.connect(database.url("registry"))
    for first in range(1, count + 1, 1_000):
        revisions = range(first, min(first + 1_000, count + 1))
        rows = [row(model_id, n, note=is_note(n)) for n in revisions]
        await eventlog.append(connection, "registry", rows)
    await connection.close()


async def test_a_long_life_is_read_by_few_look_ups_and_each_moment_has_its_neighbours(database: Any) -> None:
    model_id = str(uuid.uuid4())
    await written(database, model_id, LONG, lambda revision: revision % 2 == 0)
    pool = await connect_pool(database.url("registry"), schemas=("registry", "access"), size=1)
    try:
        for asked in (1, 1_234, 3_001, LONG):
            read: list[int] = []
            async with pool.acquire() as connection:
                with connection.query_logger(lambda sent, read=read: read.append(_wanted(sent.args))):
                    found = await life(connection, model_id, BEGIN + timedelta(minutes=asked))
            assert sum(read) <= EVERY + 2 * AROUND + 1 + LONG.bit_length()
            assert len(found.moments) <= MOST_SHOWN + 2
            assert (found.moments[0].revision, found.moments[-1].revision) == (1, LONG)
            step = 2 if asked % 2 else 1
            around = [one.revision if one else None for one in (found.before, found.after)]
            assert around == [one if 1 <= one <= LONG else None for one in (asked - step, asked + step)]
    finally:
        await pool.close()


def _wanted(values: Any) -> int:
    """Return the number of events that a statement looks up."""
    return len(values[1]) if len(values) == 2 else 1


async def test_a_moment_has_its_neighbours_when_there_are_only_notes_around_it(database: Any) -> None:
    model_id, newest = str(uuid.uuid4()), 2 * EVERY + 1
    (before, *_, after) = sorted({*range(200, 600)} - {*spread(newest)})
    assert after - before > 2 * AROUND
    await written(database, model_id, newest, lambda revision: revision not in {1, before, after, newest})
    async with await connect_pool(database.url("registry"), schemas=("registry", "access"), size=1) as pool:
        found = await life(pool, model_id, BEGIN + timedelta(minutes=400))
    assert [one and one.revision for one in (found.before, found.after)] == [before, after]


async def test_who_may_read_a_model_sees_its_moments_and_no_one_else_does(
    registry: Any, senders: Any
) -> None:
    async with registry.client("root") as client:
        await promoted(registry, senders, client, 1)
        found = (await client.get("/models/team.churn/moments")).json()
        assert found["items"][0]["type"] == "ModelRegistered"
        assert "Noted" not in {one["type"] for one in found["items"]}
        assert (found["complete"], found["after"]) == (True, None)
        second = found["items"][1]
        at_second = (await client.get("/models/team.churn/moments", params={"at": second["at"]})).json()
        assert at_second["before"]["at"] == found["items"][0]["at"]
        assert at_second["after"]["at"] == found["items"][2]["at"]
    async with registry.client("eve") as stranger:
        assert (await stranger.get("/models/team.churn/moments")).status_code == 404
