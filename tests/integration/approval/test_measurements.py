"""How many reviews wait for people is counted over all models."""

from __future__ import annotations

from services.approval.measurements import waiting_reviews
from tests.integration.approval.test_reviews_http import call


async def test_open_reviews_and_owed_and_overdue_after_reviews_are_counted(desk, people, request_promotion):
    assert await waiting_reviews(desk.app) == {"open": 0, "after_review": 0, "overdue_after_review": 0}
    await request_promotion()
    assert await waiting_reviews(desk.app) == {"open": 1, "after_review": 0, "overdue_after_review": 0}
    await call(desk, "oscar", "POST", "/promotions/p1:override", {"reason": "down"})
    assert await waiting_reviews(desk.app) == {"open": 0, "after_review": 1, "overdue_after_review": 0}
    await desk.app.pool.execute("UPDATE reviews SET due_at = now() - interval '1 minute'")
    assert await waiting_reviews(desk.app) == {"open": 0, "after_review": 1, "overdue_after_review": 1}
    await call(desk, "ann", "POST", "/reviews/p1:review-override", {"justified": True, "comment": "it was"})
    assert await waiting_reviews(desk.app) == {"open": 0, "after_review": 0, "overdue_after_review": 0}
