"""Questions about versions read no more pages of a large registry than of a small one: counted, not timed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.registry import queries
from services.registry.lineage import queries as lineage
from services.registry.look_ups import ModelRef, Models
from services.registry.service import SERVICE
from services.registry.shapes.common import LARGEST
from shared.foundation.postgres import connect_pool
from shared.log import projector

pytestmark = pytest.mark.servers

SMALL, LARGE, SLACK = 2_000, 16_000, 12
"""Versions of the long model, before and after it grows; pages that deeper indexes may add."""

# A long model, in which the versions 3 and 7 serve, and another model of which every version has one data
# set.
FILL = """
INSERT INTO registry.versions (model_id, number, semver, stage, artifact_digest, identity, document,
    dataset_name, dataset_digest,
                               registered_at, registered_by, correlation_id, message_id, revision)
SELECT 'long', n, '1.0.' || n, CASE WHEN n IN (3, 7) THEN 'Production' ELSE 'Validated' END, 'sha256:' || n,
    'i' || n, n, 'set ' || n, 'digest ' || n,
       now(), 'ci', 'c' || n, '', n
FROM generate_series($1::int, $2::int) AS n
"""
FILL_SMALL = """
INSERT INTO registry.versions (model_id, number, semver, stage, identity, document, dataset_name,
    dataset_digest,
                               registered_at, registered_by, correlation_id, message_id, revision)
SELECT 'short', n, '1.0.' || n, 'Staging', 'i' || n, n, 'people', 'sha256:people', now(), 'ci', 'c', '',
    n FROM generate_series(1, 20) AS n
"""
# Each version of the short model was made from the one before, and evaluated on one data set; so was each
# version of the long model, on one of its own.
CHAIN = """
INSERT INTO registry.children (model_id, number, child_model_id, child_number, relation, digest)
SELECT $1, n, $1, n + 1, 'base_model', '' FROM generate_series($2::int, $3::int - 1) AS n
"""
EVALUATED = """
INSERT INTO registry.evaluation_data (model_id, number, dataset_digest, dataset_name)
SELECT $1, n, $4 || CASE WHEN $1 = 'short' THEN '' ELSE n::text END, 'holdout'
FROM generate_series($2::int, $3::int) AS n
"""
MODELS = """
INSERT INTO registry.models (model_id, name, namespace, kind, owner, tier, description, tags, registered_at,
    registered_by, revision)
SELECT id, 'team.' || id, 'team', 'model', '', 'low', '', '{}', now(), 'ci', 1 FROM unnest($1::text[]) AS id
"""


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def explained(connection: asyncpg.Connection, statement: str, *values: Any) -> dict[str, Any]:
    """The plan of one run; its second run, because the first also fills caches."""
    await connection.fetch(statement, *values)
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values)
    (explanation,) = json.loads(bytes(text) if not isinstance(text, str) else text)
    plan: dict[str, Any] = explanation["Plan"]
    return plan


def of_stage(stage: str) -> tuple[str, tuple[Any, ...]]:
    filters = {"stage": stage, "artifact_digest": None, "correlation_id": None}
    statement, values = queries.list_versions_sql(filters)
    return statement, ("long", LARGEST, 50, *values)


QUESTIONS: dict[str, tuple[str, tuple[Any, ...], int]] = {
    "versions of a rare stage": (*of_stage("Production"), 2),
    "a page of versions": (
        queries.list_versions_sql({"stage": None})[0],
        ("long", LARGEST, 50),
        50,
    ),
    "trained on, by digest": (lineage.TRAINED_ON, ("sha256:people", "", 0, None, 50), 20),
    "trained on, by name": (lineage.TRAINED_ON, ("people", "", 0, ["team"], 50), 20),
    "trained on, by what nothing was trained on": (lineage.TRAINED_ON, ("none", "", 0, None, 50), 0),
    "evaluated on, by digest": (lineage.TRAINED_ON, ("sha256:holdout", "", 0, None, 50), 20),
    "ancestors": (lineage.ANCESTORS, (["short"], [9], None, 100), 8),
    "descendants": (lineage.DESCENDANTS, (["short"], [12], ["team"], 100), 8),
    "withdrawn ancestors": (lineage.WITHDRAWN_ANCESTORS_OF, ("short", 9), 1),
    "open promotions below": (lineage.OPEN_BELOW, ("short", 12), 0),
    "doubts": (lineage.DOUBTS, ("short",), 0),
    "the number of a semantic version": (
        queries.FIND_NUMBERS,
        (["long", "long"], ["1.0.5", "@champion"]),
        2,
    ),
    "one model": (queries.MODELS, (["long"],), 1),
    "one version": (queries.VERSIONS, (["long"], [5]), 0),
}


@pytest.fixture
async def pool(database: Any) -> AsyncIterator[asyncpg.Pool]:
    pool = await connect_pool(database.url("registry"), schemas=("registry",))
    await projector.ensure(SERVICE, pool)
    yield pool
    await pool.close()


async def measured(pool: asyncpg.Pool, owner_url: str) -> dict[str, tuple[int, int]]:
    """(rows, pages) of each question, with the statistics of now."""
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("VACUUM ANALYZE")
    finally:
        await owner.close()
    found = {}
    async with pool.acquire() as connection:
        for name, (statement, values, _) in QUESTIONS.items():
            plan = await explained(connection, statement, *values)
            found[name] = (int(plan["Actual Rows"]), pages(plan))
    return found


async def test_questions_read_as_many_pages_of_a_long_model_as_of_a_short_one(pool, database):
    await pool.execute(MODELS, ["long", "short"])
    await pool.execute(FILL_SMALL)
    await pool.execute(FILL, 1, SMALL)
    for model, first, last in (("short", 1, 20), ("long", 1, SMALL)):
        await pool.execute(CHAIN, model, first, last)
        await pool.execute(EVALUATED, model, first, last, "sha256:holdout")
    before = await measured(pool, database.owner_url)
    await pool.execute(FILL, SMALL + 1, LARGE)
    await pool.execute(CHAIN, "long", SMALL, LARGE)
    await pool.execute(EVALUATED, "long", SMALL + 1, LARGE, "sha256:holdout")
    after = await measured(pool, database.owner_url)
    expected = {name: rows for name, (_, _, rows) in QUESTIONS.items()}
    assert {name: rows for name, (rows, _) in before.items()} == expected
    assert {name: rows for name, (rows, _) in after.items()} == expected
    grown = {
        name: (before[name][1], read) for name, (_, read) in after.items() if read > before[name][1] + SLACK
    }
    assert grown == {}


async def test_a_full_cache_of_models_drops_the_one_that_was_used_the_longest_time_ago(pool):
    await pool.execute(MODELS, ["a", "b", "c", "d"])
    models = Models(pool, capacity=3)
    for name in ("a", "b", "c", "a", "d"):
        assert await models.get(name) == ModelRef(name, "team")
    await pool.close()
    for name in ("a", "c", "d"):
        assert await models.get(name) == ModelRef(name, "team")
    with pytest.raises(asyncpg.InterfaceError):
        await models.get("b")
