"""Lists of reviews read no more pages among many reviews than among few: counted, not timed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.approval.queries import REVIEWS_PAGE
from services.approval.service import SERVICE
from shared.foundation.postgres import connect_pool
from shared.log import projector
from tests.plans import measured

pytestmark = pytest.mark.servers

SMALL, LARGE, SLACK = 1_000, 8_000, 60
"""Reviews before and after; pages that deeper indexes may add to a page of fifty."""

# Reviews of as many models. Two are open: the newest one, and one of ten of a model.
REVIEWS = """
INSERT INTO approval.reviews (review_id, revision, state, model_id, model, number, semver, environment,
    production, serve, needs, approvers, roles, excluded, seal, sealed_digest, policy, evidence_digest,
    evidence, results, opened_at, requester, machines, dependent_because)
SELECT 'r' || n, 1, CASE WHEN n IN (7, 1000) THEN 'open' ELSE 'closed' END,
    CASE WHEN n <= 10 THEN 'first' ELSE 'm' || n END, 'team.m', 1, '1.0.0', 'production', true, true, 1, '[]',
    '[]', '[]', '{}', '', '{}', '', '{}', '[]', timestamptz '2020-01-01 00:00Z' + n * interval '1 hour', 'ci',
    '{}', ''
FROM generate_series($1::int, $2::int) AS n
"""
# State, model, namespaces, what the page begins after, its size, and the beginning of an id; and its rows.
QUESTIONS: dict[str, tuple[tuple[Any, ...], int]] = {
    "all": ((None, None, None, None, None, 50, None), 50),
    "all of a namespace": ((None, None, ["team"], None, None, 50, None), 50),
    "after one": ((None, None, None, datetime(2020, 1, 20, tzinfo=UTC), "r", 50, None), 50),
    "pending": (("pending", None, None, None, None, 50, None), 2),
    "closed": (("closed", None, None, None, None, 50, None), 50),
    "of a model": ((None, "first", None, None, None, 50, None), 10),
    "open ones of a model": (("open", "first", None, None, None, 50, None), 1),
}


async def test_lists_read_as_many_pages_among_many_reviews_as_among_few(database):
    async with await connect_pool(database.url("approval"), schemas=("approval",)) as pool:
        await projector.ensure(SERVICE, pool)
        await pool.execute(REVIEWS, 1, SMALL)
        questions = {name: (REVIEWS_PAGE, values, rows) for name, (values, rows) in QUESTIONS.items()}
        before = await measured(pool, database.owner_url, questions)
        await pool.execute(REVIEWS, SMALL + 1, LARGE)
        after = await measured(pool, database.owner_url, questions)
    expected = {name: rows for name, (_, rows) in QUESTIONS.items()}
    assert {name: rows for name, (rows, _) in before.items()} == expected
    assert {name: rows for name, (rows, _) in after.items()} == expected
    most = {name: read + SLACK for name, (_, read) in before.items()}
    assert {name: (before[name][1], read) for name, (_, read) in after.items() if read > most[name]} == {}
