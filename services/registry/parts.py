"""What the registry's process keeps in memory besides what every service has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg

from services.registry import queries
from services.registry.access.job_tokens import JobTokens
from services.registry.domain.versioning.bump import DEFAULT, BumpPolicy
from services.registry.labels import queries as labels
from services.registry.labels.documents import Documents
from services.registry.look_ups import LookUps
from services.registry.serving import queries as serving_queries
from shared.http.batcher import Batcher, RowBatcher
from shared.identity.access_view import AccessView


@dataclass(frozen=True, slots=True)
class Shown:
    """What MLflow's clients see: `models` by id, `versions` by (model id, number).

    `names` finds whether a model is hidden, or a version of it, by (model id, number or 0); `aliases` finds
    the number of a version by (model id, alias). `documents` keeps the JSON of versions.
    """

    names: RowBatcher
    models: Batcher[str, dict[str, Any]]
    versions: Batcher[tuple[str, int], dict[str, Any]]
    aliases: RowBatcher
    documents: Documents


@dataclass(frozen=True, slots=True)
class Parts:
    """`look_ups` turns names into ids. `bump_policy` states which changes count.

    `job_tokens` verifies tokens of jobs.

    Each batcher answers concurrent reads by one query. `resolver` finds versions by (model, alias); `models`
    finds models by id; `versions` by (model id, number); `numbers` finds version numbers by (model id,
    semantic version or @alias); `aliases` finds rows by (model id, alias) and `rollouts` by (model id,
    environment). `shown` has those of what MLflow's clients see.
    """

    look_ups: LookUps
    bump_policy: BumpPolicy
    resolver: Batcher[tuple[str, str], queries.Resolved]
    models: Batcher[str, asyncpg.Record]
    versions: Batcher[tuple[str, int], asyncpg.Record]
    numbers: Batcher[tuple[str, str], int]
    aliases: RowBatcher
    rollouts: RowBatcher
    shown: Shown
    job_tokens: JobTokens


def make_parts(pool: asyncpg.Pool, access: AccessView, bump_policy: BumpPolicy = DEFAULT) -> Parts:
    """Return the parts of a process that reads from `pool`."""
    return Parts(
        look_ups=LookUps(pool, bump_policy),
        bump_policy=bump_policy,
        resolver=Batcher(lambda wanted: queries.resolve(pool, wanted)),
        models=Batcher(lambda wanted: queries.models(pool, wanted)),
        versions=Batcher(lambda wanted: queries.versions(pool, wanted)),
        numbers=Batcher(lambda wanted: queries.numbers(pool, wanted)),
        aliases=RowBatcher(pool, queries.ALIAS, "text", "text"),
        rollouts=RowBatcher(pool, serving_queries.ROLLOUT, "text", "text"),
        shown=Shown(
            names=RowBatcher(pool, labels.SHOWN, "text", "int"),
            models=Batcher(lambda wanted: labels.models(pool, wanted)),
            versions=Batcher(lambda wanted: labels.versions(pool, wanted)),
            aliases=RowBatcher(pool, labels.ALIAS, "text", "text"),
            documents=Documents(),
        ),
        job_tokens=JobTokens(access),
    )
