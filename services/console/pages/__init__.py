"""The pages and acts of the console, by area."""

from __future__ import annotations

from services.console.pages import (
    access,
    cleanup,
    data_sets,
    history,
    home,
    model,
    models,
    operations,
    policies,
    review,
    reviews,
    rollouts,
    search,
    version,
    version_acts,
)

PAGES = (
    *home.PAGES,
    *models.PAGES,
    *model.PAGES,
    *version.PAGES,
    *reviews.PAGES,
    *review.PAGES,
    *rollouts.PAGES,
    *data_sets.PAGES,
    *history.PAGES,
    *cleanup.PAGES,
    *policies.PAGES,
    *access.PAGES,
    *operations.PAGES,
    *search.PAGES,
)
ACTS = (
    *version_acts.ACTS,
    *review.ACTS,
    *rollouts.ACTS,
)
DOWNLOADS = (*history.DOWNLOADS,)
