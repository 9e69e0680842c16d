"""What this service counts for metrics."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Gauge

from services.approval import queries
from shared.http.app import App
from shared.measurements import Measurement

REVIEWS = Gauge("regista_reviews", "Reviews that wait for people, by what they wait for", ["waiting"])


async def waiting_reviews(app: App) -> Mapping[str, float]:
    """Return how many reviews are open, and how many after-reviews are owed and overdue."""
    async with app.pool.acquire() as connection:
        return dict(await connection.fetchrow(queries.WAITING_REVIEWS))


MEASUREMENTS = (Measurement(REVIEWS, waiting_reviews),)
