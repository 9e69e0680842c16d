"""Lists read no more pages among many models than among few, for every reader: counted, not timed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.registry.lineage import queries as lineage
from services.registry.service import SERVICE
from services.registry.serving import queries as serving
from shared.foundation.postgres import connect_pool
from shared.log import projector
from tests.integration.registry.lists import models_of, of_all
from tests.plans import measured

pytestmark = pytest.mark.servers

SMALL, LARGE = 2_000, 16_000
"""Models of others, before and after."""
SLACK, OF_A_ROW = 12, 5
"""Pages that deeper indexes may add to a question, and to each of its rows."""

# The models $1 to $2 of others, each with one version that serves; and two models of the namespace `zz`, with
# the last names and the oldest versions.
MODELS = """
INSERT INTO registry.models (model_id, name, namespace, kind, owner, tier, description, tags, registered_at,
    registered_by, revision, changed_at)
SELECT namespace || n, namespace || '.m' || n, namespace, kind, owner, tier, '', '{}', now(), 'ci', 1, now()
FROM (
    SELECT 'team' AS namespace, n, 'model' AS kind, 'ann' AS owner, 'low' AS tier
    FROM generate_series($1::int, $2::int) AS n
  UNION ALL SELECT 'zz', n, 'adapter', 'eva', 'high' FROM generate_series(1, 2) AS n WHERE $1::int = 1
) AS made
"""
NAMES = """
INSERT INTO registry.names (name, model_id)
SELECT name, model_id FROM registry.models ON CONFLICT DO NOTHING
"""
VERSIONS = """
INSERT INTO registry.versions (model_id, number, semver, stage, identity, document, dataset_name,
    dataset_digest, registered_at, registered_by, correlation_id, message_id, revision, creator, label,
    changed_at)
SELECT m.model_id, 1, '1.0.0', 'Staging', 'i', 2, 'people', 'sha256:people',
    CASE m.namespace WHEN 'zz' THEN timestamptz '2020-01-01 00:00Z' ELSE now() END, 'ci', 'c', '', 2, 'ci',
    '', now()
FROM registry.models m ON CONFLICT DO NOTHING
"""
ROLLOUTS = """
INSERT INTO registry.rollouts (model_id, environment, production, champion, entries, previous, warning,
    changed_at, changed_by, reason, revision)
SELECT m.model_id, CASE m.namespace WHEN 'zz' THEN 'rare' ELSE 'production' END, m.namespace <> 'zz', 1,
    '[{"number": 1}]', '[]', '', now(), 'ci', '', 3
FROM registry.models m ON CONFLICT DO NOTHING
"""
Questions = dict[str, tuple[str, tuple[Any, ...], int]]


def served(*namespaces: str, environment: str | None = None) -> tuple[str, tuple[Any, ...]]:
    values = ("", "", list(namespaces) or None, environment, None, None, False, 50)
    return serving.serving_sql(list(namespaces) or None), values


def trained_on(*namespaces: str) -> tuple[str, tuple[Any, ...]]:
    readable = list(namespaces) or None
    return lineage.trained_on_sql(readable), ("people", "", 0, readable, 50)


QUESTIONS: Questions = {
    "all models": (*models_of(), 50),
    "models of a small namespace": (*models_of("zz"), 2),
    "models of a namespace and one inside it": (*models_of("zz", "zz.a"), 2),
    "models of a large namespace": (*models_of("team"), 50),
    "models of a rare kind": (*models_of(kind="adapter"), 2),
    "models of a rare tier": (*models_of(tier="high"), 2),
    "models of a rare owner": (*models_of(owner="eva"), 2),
    "models with a text that most names have": (*models_of(search="m"), 50),
    "the same in a small namespace": (*models_of("zz", search="m"), 2),
    "versions of a small namespace": (*of_all("zz"), 2),
    "versions of a large namespace": (*of_all("team"), 50),
    "versions of a common stage in a small namespace": (*of_all("zz", stage="Staging"), 2),
    "versions of a common creator in a small namespace": (*of_all("zz", creator="ci"), 2),
    "versions of a common creator in a large namespace": (*of_all("team", creator="ci"), 50),
    "versions of a rare creator in a small namespace": (*of_all("zz", creator="eva"), 0),
    "what was trained on a common data set in a small namespace": (*trained_on("zz"), 2),
    "what was trained on a common data set": (*trained_on(), 50),
    "what serves": (*served(), 50),
    "what serves in a small namespace": (*served("zz"), 2),
    "what serves in a rare environment": (*served(environment="rare"), 2),
    "what serves in a common environment": (*served(environment="production"), 50),
    "what serves in a common environment for a small namespace": (*served("zz", environment="production"), 0),
}


@pytest.fixture
async def pool(database: Any) -> AsyncIterator[asyncpg.Pool]:
    pool = await connect_pool(database.url("registry"), schemas=("registry",))
    await projector.ensure(SERVICE, pool)
    yield pool
    await pool.close()


async def filled(pool: asyncpg.Pool, first: int, last: int) -> None:
    await pool.execute(MODELS, first, last)
    for statement in (NAMES, VERSIONS, ROLLOUTS):
        await pool.execute(statement)


async def test_lists_read_as_many_pages_among_many_models_as_among_few(pool, database):
    await filled(pool, 1, SMALL)
    before = await measured(pool, database.owner_url, QUESTIONS)
    await filled(pool, SMALL + 1, LARGE)
    after = await measured(pool, database.owner_url, QUESTIONS)
    expected = {name: rows for name, (_, _, rows) in QUESTIONS.items()}
    assert {name: rows for name, (rows, _) in before.items()} == expected
    assert {name: rows for name, (rows, _) in after.items()} == expected
    most = {name: read + SLACK + OF_A_ROW * rows for name, (rows, read) in before.items()}
    assert {name: (before[name][1], read) for name, (_, read) in after.items() if read > most[name]} == {}
