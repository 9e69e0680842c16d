"""Questions about versions read no more pages of a large registry than of a small one: counted, not timed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.registry import queries
from services.registry.labels import queries as labels
from services.registry.lineage import queries as lineage
from services.registry.look_ups import ModelRef, Models
from services.registry.search import queries as search
from services.registry.service import SERVICE
from services.registry.serving import queries as serving
from services.registry.shapes.common import LARGEST
from services.registry.shapes.labels import Condition, Order, Search
from shared.foundation.postgres import connect_pool
from shared.log import projector
from tests.integration.registry.lists import models_of, of_all
from tests.plans import measured

pytestmark = pytest.mark.servers

SMALL, LARGE, SLACK = 2_000, 16_000, 12
"""Versions of the long model, before and after it grows; pages that deeper indexes may add."""

# A long model, in which the versions 3 and 7 serve, and another model of which every version has one data
# set.
FILL = """
INSERT INTO registry.versions (model_id, number, semver, stage, artifact_digest, identity, document,
    dataset_name, dataset_digest,
                               registered_at, registered_by, correlation_id, message_id, revision, creator,
    tags, label, changed_at)
SELECT 'long', n, '1.0.' || n, CASE WHEN n IN (3, 7) THEN 'Production' ELSE 'Validated' END, 'sha256:' || n,
    'i' || n, n, 'set ' || n, 'digest ' || n,
       timestamptz '2020-01-01 00:00Z' + n * interval '1 hour', 'ci', 'c' || n, '', n,
       CASE WHEN n IN (3, 7) THEN 'eva' ELSE 'ci' END,
       CASE WHEN n IN (3, 7) THEN jsonb_build_object('common', 'yes', 'rare', 'yes')
            WHEN n % 2 = 0 THEN '{"common": "yes"}'::jsonb END, '',
       timestamptz '2020-01-01 00:00Z' + n * interval '1 hour'
FROM generate_series($1::int, $2::int) AS n
"""
FILL_SMALL = """
INSERT INTO registry.versions (model_id, number, semver, stage, identity, document, dataset_name,
    dataset_digest,
                               registered_at, registered_by, correlation_id, message_id, revision,
    label, changed_at)
SELECT 'short', n, '1.0.' || n, 'Staging', 'i' || n, n, 'people', 'sha256:people', now(), 'ci', 'c', '',
    n, '', now() FROM generate_series(1, 20) AS n
"""
# Each version of the short model was made from the one before, and evaluated on one data set; so was each
# version of the long model, on one of its own.
CHAIN = """
INSERT INTO registry.children (model_id, number, child_model_id, child_number, relation, digest, since)
SELECT $1, n, $1, n + 1, 'base_model', '', now() FROM generate_series($2::int, $3::int - 1) AS n
"""
EVALUATED = """
INSERT INTO registry.evaluation_data (model_id, number, dataset_digest, dataset_name)
SELECT $1, n, $4 || CASE WHEN $1 = 'short' THEN '' ELSE n::text END, 'holdout'
FROM generate_series($2::int, $3::int) AS n
"""
MEASURED = """
INSERT INTO registry.measurements (model_id, number, name, dataset_digest, definition, author, value,
    dataset_name, higher_is_better, primary_metric, independent, revision)
SELECT 'long', n, 'auc', 'sha256:t', '', '',
    CASE WHEN n IN (3, 7) THEN 0.995 ELSE 0.6 + (n % 100) / 300.0 END, 'test', true, true, false, n
FROM generate_series($1::int, $2::int) AS n
"""
MODELS = """
INSERT INTO registry.models (model_id, name, namespace, kind, owner, tier, description, tags, registered_at,
    registered_by, revision, changed_at)
SELECT id, CASE id WHEN 'short' THEN 'small.' ELSE 'team.' END || id, 'team', 'model',
    CASE id WHEN 'long' THEN 'team:risk' ELSE '' END, 'low', '',
    CASE id WHEN 'long' THEN '{"team": "risk"}'::jsonb ELSE '{}'::jsonb END, now(), 'ci', 1, now()
FROM unnest($1::text[]) AS id
"""


def of_model(**wanted: Any) -> tuple[str, tuple[Any, ...]]:
    statement, values = search.of_model(search.Wanted(**wanted), "long", LARGEST, 50)
    return statement, tuple(values)


def of_mlflow(field: str = "", value: str = "", *models: str) -> tuple[str, tuple[Any, ...]]:
    """The versions that MLflow's clients find, those that changed last first."""
    wanted = [Condition(field=field, comparison="=", values=[value])] if field else []
    statement, values = labels.versions_sql(Search(conditions=wanted, limit=50), None, models or None)
    return statement, tuple(values)


def of_mlflow_by(*order: str, models: tuple[str, ...] = (), **condition: Any) -> tuple[str, tuple[Any, ...]]:
    """The same by one condition and in an order: fields, those with - before them descending."""
    wanted = [Condition(**condition)] if condition else []
    orders = [Order(field=one.lstrip("-"), descending=one.startswith("-")) for one in order]
    asked = Search(conditions=wanted, order=orders, limit=50, prompts=condition.get("tag") == PROMPT)
    statement, values = labels.versions_sql(asked, None, models or None)
    return statement, tuple(values)


PROMPT = "mlflow.prompt.is_prompt"


def metric(name: str, comparison: search.Comparison, value: float) -> list[search.MetricCondition]:
    return [search.MetricCondition(name, comparison, value)]


DAY = datetime(2020, 1, 1, tzinfo=UTC)


# Two versions of the long model serve.
ROLLOUT = """
INSERT INTO registry.rollouts (model_id, environment, production, champion, entries, previous, warning,
    changed_at, changed_by, reason, revision)
VALUES ('long', 'production', true, 7, '[{"number": 3}, {"number": 7}]', '[]', '', now(), 'ci', '', 1)
"""

Questions = dict[str, tuple[str, tuple[Any, ...], int]]
SEARCHES: Questions = {
    "versions of a rare stage": (*of_model(stage="Production"), 2),
    "versions with a rare tag": (*of_model(tags=[("rare", "yes")]), 2),
    "versions with a rare tag of any value": (*of_model(tags=[("rare", None)]), 2),
    "versions with a tag that many have": (*of_model(tags=[("common", "yes")]), 50),
    "versions with a tag that none has": (*of_model(tags=[("none", "yes")]), 0),
    "versions above a value that few reach": (*of_model(metrics=metric("auc", ">", 0.99)), 2),
    "versions above a value that most reach": (*of_model(metrics=metric("auc", ">", 0.5)), 50),
    "versions below a value that few miss": (*of_model(metrics=metric("auc", "<", 0.5)), 0),
    "versions by a rare creator": (*of_model(creator="eva"), 2),
    "versions of a training set": (*of_model(dataset="digest 5"), 0),
    "versions of a named training set": (*of_model(dataset="set 5"), 1),
    "versions until an early day": (*of_model(until=DAY + timedelta(hours=5)), 4),
    "versions of a period": (*of_model(since=DAY + timedelta(hours=2), until=DAY + timedelta(hours=5)), 3),
    "the newest versions of all models": (*of_all(), 50),
    "the newest versions of a small namespace": (*of_all("small"), 20),
    "versions of all models with a rare tag": (*of_all(tags=[("rare", "yes")]), 2),
    "versions of all models with a foreign tag": (*of_all("small", tags=[("rare", "yes")]), 0),
    "versions of all models above a rare value": (*of_all(metrics=metric("auc", ">", 0.99)), 2),
    "versions of all models by a rare creator": (*of_all(creator="eva"), 2),
    "versions of all models in a rare stage": (*of_all(stage="Production"), 2),
    "versions of all models of a period": (
        *of_all(since=DAY + timedelta(hours=2), until=DAY + timedelta(hours=5)),
        3,
    ),
    "what to withdraw, by a data set": (queries.TO_WITHDRAW, ("digest 5", None, 50), 1),
    "versions for MLflow": (*of_mlflow(), 50),
    "versions for MLflow of a small model": (*of_mlflow("name", "small.short", "short"), 20),
    "versions for MLflow of a run": (*of_mlflow("run_id", "none"), 0),
    "versions for MLflow with a rare tag": (*of_mlflow_by(tag="rare", comparison="=", values=["yes"]), 2),
    "versions for MLflow with a tag like": (*of_mlflow_by(tag="rare", comparison="LIKE", values=["y%"]), 2),
    "versions for MLflow with a tag that many have": (
        *of_mlflow_by(tag="common", comparison="=", values=["yes"]),
        50,
    ),
    "versions for MLflow with a tag that none has": (*of_mlflow_by(tag="a", comparison="=", values=["b"]), 0),
    "versions of prompts for MLflow": (*of_mlflow_by(tag=PROMPT, comparison="=", values=["true"]), 0),
    "versions for MLflow by a name like": (
        *of_mlflow_by(comparison="LIKE", values=["small.%"], models=("short",)),
        20,
    ),
    "versions for MLflow by their creation": (*of_mlflow_by("-creation_timestamp"), 50),
    "versions for MLflow by name": (*of_mlflow_by("name"), 50),
    "versions for MLflow by name from the end": (*of_mlflow_by("-name", "-version_number"), 50),
    "versions for MLflow of a model by number": (
        *of_mlflow_by("-version_number", comparison="=", values=["team.long"], models=("long",)),
        50,
    ),
    "models with a tag": (*models_of(tags='{"team":"risk"}'), 1),
    "models of an owner": (*models_of(owner="team:risk"), 1),
}
READS: Questions = {
    "a page of versions": (*of_model(), 50),
    "trained on, by digest": (lineage.trained_on_sql(None), ("sha256:people", "", 0, None, 50), 20),
    "trained on, by name": (lineage.trained_on_sql(["small"]), ("people", "", 0, ["small"], 50), 20),
    "trained on, by what nothing was trained on": (
        lineage.trained_on_sql(None),
        ("none", "", 0, None, 50),
        0,
    ),
    "evaluated on, by digest": (lineage.trained_on_sql(None), ("sha256:holdout", "", 0, None, 50), 20),
    "models": (*models_of(), 2),
    "models of a namespace": (*models_of("small"), 1),
    "the latest version": (queries.FIND_NUMBERS, (["long"], ["@latest"]), 1),
    "ancestors": (lineage.ANCESTORS, (["short"], [9], None, 100), 8),
    "descendants": (lineage.DESCENDANTS, (["short"], [12], ["small"], 100), 8),
    "withdrawn ancestors": (lineage.WITHDRAWN_ANCESTORS_OF, ("short", 9), 1),
    "open promotions below": (lineage.OPEN_BELOW, ("short", 12), 0),
    "doubts": (lineage.DOUBTS, ("short",), 0),
    "doubts of a long model": (lineage.DOUBTS, ("long",), 0),
    "the number of a semantic version": (
        queries.FIND_NUMBERS,
        (["long", "long"], ["1.0.5", "@champion"]),
        2,
    ),
    "what serves of a model": (serving.ROLLOUTS, ("long",), 1),
    "what serves in an environment": (serving.ROLLOUT, ("long", "production"), 1),
    "one model": (queries.MODELS, (["long"],), 1),
    "one version": (queries.VERSIONS, (["long"], [5]), 0),
    "a model for MLflow": (labels.MODELS, (["long"],), 1),
    "its newest versions for MLflow": (labels.NEWEST, (["long"],), 2),
    "versions for MLflow by number": (labels.VERSIONS, (["long", "short"], [5, 6]), 2),
    "a version for MLflow by alias": (labels.ALIAS, ("long", "none"), 1),
}
QUESTIONS = SEARCHES | READS


@pytest.fixture
async def pool(database: Any) -> AsyncIterator[asyncpg.Pool]:
    pool = await connect_pool(database.url("registry"), schemas=("registry",))
    await projector.ensure(SERVICE, pool)
    yield pool
    await pool.close()


async def asked(pool: asyncpg.Pool, owner_url: str) -> dict[str, tuple[int, int]]:
    """(rows, pages) of each question. Only searches are always planned with values."""
    found = await measured(pool, owner_url, QUESTIONS)
    without = await measured(pool, owner_url, READS, "force_generic_plan")
    return found | {name: (rows, max(read, found[name][1])) for name, (rows, read) in without.items()}


async def test_questions_read_as_many_pages_of_a_long_model_as_of_a_short_one(pool, database):
    await pool.execute(MODELS, ["long", "short"])
    await pool.execute(FILL_SMALL)
    await pool.execute(ROLLOUT)
    await pool.execute(FILL, 1, SMALL)
    await pool.execute(MEASURED, 1, SMALL)
    for model, first, last in (("short", 1, 20), ("long", 1, SMALL)):
        await pool.execute(CHAIN, model, first, last)
        await pool.execute(EVALUATED, model, first, last, "sha256:holdout")
    before = await asked(pool, database.owner_url)
    await pool.execute(FILL, SMALL + 1, LARGE)
    await pool.execute(MEASURED, SMALL + 1, LARGE)
    await pool.execute(CHAIN, "long", SMALL, LARGE)
    await pool.execute(EVALUATED, "long", SMALL + 1, LARGE, "sha256:holdout")
    after = await asked(pool, database.owner_url)
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
